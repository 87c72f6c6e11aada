/** First script of a page; its configuration stands in an attribute, so that its own bytes are the same everywhere. */
import { guard } from "./guard";

const own = document.currentScript as HTMLScriptElement;
guard(JSON.parse(own.dataset.volens!), own);
