import("@bidder@/m.js").catch(() => 0);
postMessage(1);
