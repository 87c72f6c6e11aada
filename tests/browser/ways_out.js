(function(who){try{
 var W=window,D=document; if(W.__stub_ran)return; W.__stub_ran=1;
 var S=location.protocol==='https:'?'https://':'http://';
 var root=function(){return D.body||D.documentElement};
 function T(f){try{var r=f();if(r&&r.catch)r.catch(function(){})}catch(e){}}
 var fam=['hop.doubleclick.net','hop.unlisted-stub.test'];
 fam.forEach(function(F){
  function U(c,x){return S+c+'.'+F+'/'+(x||'p.gif')+'?u='+encodeURIComponent(location.host)}
  function A(t,p){var e=D.createElement(t);for(var k in p)k==='style'?e.style.cssText=p[k]:e.setAttribute(k,p[k]);root().appendChild(e);return e}
  T(function(){new Image().src=U('img')});
  T(function(){A('img',{src:U('imgtag'),width:1,height:1,style:'position:absolute;left:-9px'})});
  T(function(){var s=D.createElement('script');s.src=U('script','s.js');(D.head||root()).appendChild(s)});
  T(function(){return fetch(U('fetch'),{mode:'no-cors',credentials:'include'})});
  T(function(){var x=new XMLHttpRequest();x.open('GET',U('xhr'));x.send()});
  T(function(){navigator.sendBeacon(U('beacon'),'b=1')});
  T(function(){new WebSocket(U('ws','ws').replace(/^http/,'ws'))});
  T(function(){new EventSource(U('es','es'))});
  T(function(){A('iframe',{src:U('iframe','f.html'),style:'display:none'})});
  T(function(){A('link',{rel:'stylesheet',href:U('css','c.css')})});
  T(function(){var f=new FontFace('stubf','url('+U('font','f.woff2')+')');D.fonts.add(f);return f.load()});
  T(function(){A('link',{rel:'prefetch',href:U('prefetch')})});
  T(function(){A('link',{rel:'preload',as:'image',href:U('preload')})});
  T(function(){A('link',{rel:'modulepreload',href:U('modulepreload','m.js')})});
  T(function(){A('link',{rel:'preconnect',href:U('preconnect','')})});
  T(function(){A('link',{rel:'icon',href:U('icon','i.png')})});
  T(function(){A('div',{style:'position:absolute;left:0;top:0;width:1px;height:1px;background:url('+U('bg')+')'})});
  T(function(){A('style',{}).textContent='@import url('+U('cssimport','c.css')+');'});
  T(function(){A('video',{src:U('video','v.mp4'),preload:'auto',style:'display:none'}).load()});
  T(function(){new Audio(U('audio','a.mp3')).load()});
  T(function(){A('object',{data:U('object','o.html'),style:'width:1px;height:1px;position:absolute'})});
  T(function(){A('embed',{src:U('embed','e.html'),style:'width:1px;height:1px;position:absolute'})});
  T(function(){var d=D.createElement('div');d.style.display='none';d.innerHTML='<img src="'+U('innerhtml')+'"><iframe src="'+U('innerhtml-iframe','f.html')+'"></iframe>';root().appendChild(d)});
  T(function(){var d=A('div',{style:'display:none'});d.attachShadow({mode:'closed'}).innerHTML='<img src="'+U('shadow')+'">'});
  T(function(){A('iframe',{srcdoc:'<img src="'+U('srcdoc')+'"><scr'+'ipt src="'+U('srcdoc-script','s.js')+'"></scr'+'ipt>',style:'display:none'})});
  T(function(){var i=A('iframe',{style:'display:none'});T(function(){new i.contentWindow.Image().src=U('blankframe-img')});T(function(){return i.contentWindow.fetch(U('blankframe-fetch'),{mode:'no-cors'})});T(function(){i.contentWindow.navigator.sendBeacon(U('blankframe-beacon'),'x')})});
  T(function(){var b=URL.createObjectURL(new Blob(['try{importScripts("'+U('worker-import','s.js')+'")}catch(e){};fetch("'+U('worker-fetch')+'",{mode:"no-cors"}).catch(function(){})'],{type:'text/javascript'}));new Worker(b)});
  T(function(){return import(U('dynimport','m.js'))});
  T(function(){new Function('new Image().src='+JSON.stringify(U('newfunction')))()});
  T(function(){var p=new RTCPeerConnection({iceServers:[{urls:'stun:rtc.'+F+':__UDP__'}]});p.createDataChannel('x');p.createOffer().then(function(o){return p.setLocalDescription(o)});W.__stub_rtc=(W.__stub_rtc||[]).concat(p)});
  T(function(){var n='stubform'+Math.random();var i=A('iframe',{name:n,style:'display:none'}),f=A('form',{action:U('form','post'),method:'post',target:n,style:'display:none'});f.submit()});
  T(function(){var a=A('a',{href:'#stub',ping:U('ping','ping'),style:'display:none'});a.click()});
  T(function(){A('script',{type:'speculationrules'}).textContent=JSON.stringify({prefetch:[{source:'list',urls:[U('speculation','n.html')],requires:['anonymous-client-ip-when-cross-origin'].slice(1)}]})});
  T(function(){var s=D.createElementNS('http://www.w3.org/2000/svg','svg');s.setAttribute('width','1');s.setAttribute('height','1');var im=D.createElementNS('http://www.w3.org/2000/svg','image');im.setAttribute('href',U('svgimage'));s.appendChild(im);root().appendChild(s)});
  T(function(){if(D.readyState==='loading'&&D.currentScript&&!D.currentScript.async&&!D.currentScript.defer)D.write('<img width=1 height=1 style="position:absolute" src="'+U('docwrite')+'">')});
  T(function(){addEventListener('pagehide',function(){T(function(){navigator.sendBeacon(U('unload-beacon'),'x')});T(function(){return fetch(U('unload-fetch'),{mode:'no-cors',keepalive:true})})})});
  T(function(){fetchLater&&fetchLater(U('fetchlater'),{mode:'no-cors'})});
 });
 T(function(){D.cookie='_ga_stub='+who+'; path=/; max-age=31536000'});
 T(function(){return cookieStore.set({name:'_cs_stub',value:who,expires:Date.now()+864e5})});
 T(function(){var i=D.createElement('iframe');i.style.display='none';root().appendChild(i);i.contentDocument.cookie='_if_stub='+who+'; path=/; max-age=31536000';T(function(){i.contentWindow.localStorage.setItem('stub_ls_iframe',who)})});
 T(function(){var d=Object.getOwnPropertyDescriptor(Document.prototype,'cookie');d.set.call(D,'_proto_stub='+who+'; path=/; max-age=31536000')});
 T(function(){localStorage.setItem('stub_ls',who)});T(function(){localStorage.stub_ls_prop=who});T(function(){sessionStorage.setItem('stub_ss',who)});
 T(function(){indexedDB.open('stub_db')});T(function(){return caches.open('stub_cache')});T(function(){W.name='stub_name_'+who});
}catch(e){}})('__WHO__');
