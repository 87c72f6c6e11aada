export const named = (view) => view;
import("@bidder@/m.js").catch(() => 0);
