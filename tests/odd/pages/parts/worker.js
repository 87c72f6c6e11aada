try { importScripts("@gauge@/t.js"); } catch (e) { /* refused */ }
fetch("@gauge@/hit?worker", { mode: "no-cors" }).catch(() => 0);
postMessage(1);
