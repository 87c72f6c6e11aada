(()=>{var e=new BroadcastChannel("volens");document.documentElement.className?e.postMessage(0):e.onmessage=()=>location.reload()})();
