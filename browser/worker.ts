/** Prepended by the server to same-origin worker scripts, with `__CONFIG__` replaced by the configuration. */
import { guard } from "./guard";

declare const __CONFIG__: Parameters<typeof guard>[0];
guard(__CONFIG__);
