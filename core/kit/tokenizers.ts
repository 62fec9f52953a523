/** How families tokenize text; a plugin names one, or declares its own `TokenizerFamily`. */
export { bartTokenizer as bart } from "../text/families/bart.ts";
export { bertTokenizer as bert } from "../text/families/bert.ts";
export { debertaTokenizer as deberta } from "../text/families/deberta.ts";
export { modernBertTokenizer as modernbert } from "../text/families/modernbert.ts";
