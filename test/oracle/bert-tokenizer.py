"""Writes test/fixtures/text/tiny-bert: a small WordPiece vocabulary, and transformers' BertTokenizerFast on texts that are hard for it.

  pip install transformers
  python bert-tokenizer.py OUT_FOLDER

`expected.json` lists cases: the settings of a tokenizer_config.json, and rows of text, pair (or null), ids, type ids and offsets in code points.
"""
import json, pathlib, random, shutil, sys, tempfile
from transformers import BertTokenizerFast

WORDS = """the of and to in a is it that was for on with as his he be at by i this had not are but from or have an they which one you were
her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some
could time these two may then do first any my now such like our over man me even most made after also did many before must through back years
where much your way well down should because each just those people how too little state good very make world still own see men work long
get here between both life being under never day same another know while last might us great old year off come since against go came right
used take three play run walk ing ed ly er est ness able tion naive cafe uber resume ecole francois nino hello""".split()
PIECES = """ing ed ly er est s es ness able un re tion al ity ment ful less ive ous ic ism ist ize th ee oo 's ' a e i o u y""".split()
LETTERS = [chr(c) for c in range(33, 127)] + list("éèüöäñçßøåæœžšłđðþ¿¡£€¥§©®°±²³µ¶·×÷–—‘’“”…•™←→≤≥≠∞√∑αβγδεωабвгдежзиклмнопрстуфхцчшщъыьэюяאבגدהمرحبا")
CJK = list("日本語中文字漢東京大学人一二三ひらがなカタカナ한국어")


def vocabulary():
    tokens = ["[PAD]"] + [f"[unused{i}]" for i in range(4)] + ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += LETTERS + CJK + [c.upper() for c in "äéñ"] + WORDS + ["Hello", "The", "McDonald", "naïve", "café", "Über"]
    tokens += [f"##{each}" for each in PIECES + LETTERS[:200] + CJK]
    return list(dict.fromkeys(tokens))


HARD = [
    "", " ", "\t\n\r", "hello", "Hello", "HELLO WORLD", "unbelievable", "playing", "the cafe", "the café", "the cafe\u0301", "naïve NAÏVE", "Über ÜBER über",
    "ñandú", "façade", "İstanbul", "ıI", "ǅ ǆ Ǆ", "ß SS", "ﬁne ﬂow ﬀ", "Ⅷ ⅷ", "①②③", "½ ¼", "don't can't won't", "it's 'quoted' \"double\"", "a,b;c:d!e?f",
    "...", "…", "--", "—", "x--y—z", "$5.00 €6 £7 ¥8", "50% off!!!", "a+b=c", "C++ C#", "user@example.com", "https://example.com/a?b=c&d=e#f", "snake_case",
    "camelCase", "tab\tseparated", "new\nline", "carriage\rreturn", "non\u00a0breaking", "zero\u200bwidth", "zero\u200djoin", "bom\ufeffhere", "\ufffd bad \ufffd",
    "null\u0000byte", "bell\u0007", "soft\u00adhyphen", "rtl \u202etxt\u202c", "ideographic\u3000space", "thin\u2009space", "em\u2003space", "line\u2028sep", "para\u2029sep",
    "日本語", "日本語 text 中文", "東京大学の学生", "カタカナ", "ひらがな", "한국어", "한국어 단어", "漢字and英語", "\u2f00\u2f01", "\uf900", "\U00020000 \U0002a6d6", "㐀㐁",
    "привет мир", "ПРИВЕТ", "ёлка Ёлка", "й и\u0306", "αβγ ΑΒΓ ς Σ", "ά α\u0301", "שלום", "שָׁלוֹם", "مرحبا", "مَرْحَبًا", "हिन्दी", "ไทย", "தமிழ்", "ქართული",
    "😀", "😀😀", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "☺️", "a😀b", "emoji 😀 between", "♥ ♡", "→←", "≤≥≠", "x²+y²", "H₂O", "10⁶", "Å Å", "Ω Ω", "K K",
    "[CLS]", "[SEP]", "[PAD] [UNK] [MASK]", "[cls]", "a[SEP]b", "[MASK]ing", "[ MASK ]", "[unused1]", "##ing", "##", "# #", "a##b", "[", "]", "[]", "[[CLS]]",
    "x" * 99, "x" * 100, "x" * 101, "x" * 200, "é" * 100, "日" * 120, "the" * 50, "-" * 120, "\u0301" * 5, "e" + "\u0301" * 30, "a\u0300\u0301\u0302b",
    "supercalifragilisticexpialidocious", "antidisestablishmentarianism", "pneumonoultramicroscopic", "qqqqzzzz", "Ꮳ Ꭰ", "ꙮ", "𝒽𝑒𝓁𝓁𝑜", "Ｆｕｌｌ　Ｗｉｄｔｈ", "ｱｲｳ",
    "the\u0303", "O'Neill's", "rock'n'roll", "mother-in-law", "3.14159", "1,234,567.89", "12/31/2026", "12:30pm", "U.S.A.", "e.g. i.e. etc.", "Dr. Smith", "100km/h",
    "`code`", "~tilde~", "^caret^", "|pipe|", "\\back\\slash", "<tag attr='v'>", "{json: true}", "(paren)", "«guillemets»", "‹single›", "„low“ ‚low‘", "¿qué? ¡sí!", "§1 ¶2 †3 ‡4",
    "mixedTHEcase", "  leading", "trailing  ", "a  b   c", "\u200b", "\u00ad", "\u0000", "\ufeff", "\u0300", "\u200d\u200c", "a\u200cb", "\u180e", "\u2060x", "x\u0085y", "\u001cx", "y\u007fz",
]
PAIRS = [("the time", "a man"), ("", "b"), ("a", ""), ("日本", "café"), ("[SEP] the", "of [CLS]"), ("x" * 101, "😀"), ("hello\nworld", "don't"), ("the of and", "İ ß")]


def random_texts(count):
    draw = random.Random(7)
    alphabet = LETTERS + CJK + [" "] * 40 + ["\u0301", "\u200b", "\u00a0", "\ufffd", "\U0001f600", "\t"]
    for _ in range(count):
        yield "".join(draw.choice(draw.choice([alphabet, [w + " " for w in WORDS]])) for _ in range(draw.randint(1, 14)))


CONFIGS = [
    ({}, HARD + list(random_texts(30))),
    (dict(do_lower_case=False), HARD[:150]),
    (dict(do_lower_case=True, strip_accents=False), HARD[8:30] + HARD[60:90]),
    (dict(do_lower_case=False, strip_accents=True), HARD[8:30] + HARD[60:90]),
    (dict(tokenize_chinese_chars=False), HARD[55:75]),
    (dict(cls_token="[unused1]", sep_token="[unused2]", pad_token="[unused0]", mask_token="the"), HARD[108:130] + HARD[:8]),
]


def rows_of(tokenizer, texts):
    for text, pair in [(text, None) for text in texts] + PAIRS:
        # As lists: of a single pair, transformers drops an empty second text.
        encoded = tokenizer([text], None if pair is None else [pair], return_offsets_mapping=True)
        offsets = [None if part is None else list(span) for part, span in zip(encoded.sequence_ids(0), encoded["offset_mapping"][0])]
        yield dict(text=text, pair=pair, ids=encoded["input_ids"][0], typeIds=encoded["token_type_ids"][0], offsets=offsets)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("".join(token + "\n" for token in vocabulary()), encoding="utf-8")
    cases = []
    for config, texts in CONFIGS:
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copy(vocab, scratch)
            (pathlib.Path(scratch) / "tokenizer_config.json").write_text(json.dumps(dict(config, tokenizer_class="BertTokenizer")))
            cases.append(dict(config=config, rows=list(rows_of(BertTokenizerFast.from_pretrained(scratch), texts))))
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (folder / "expected.json").write_text(f"[{lines}]\n")


main(pathlib.Path(sys.argv[1]))
