"""``volens.toml``: every mistake at once, each with place, value and remedy; what loads means what it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens import settings as kinds
from volens.catalog import Catalog
from volens.config import Loaded, load, outside, parse, shipped_texts
from volens.errors import ConfigError, Mistake
from volens.notice import StorageKey
from volens.settings import ATTESTATIONS, SETTINGS, lines_of
from volens.wording import judge, judge_pair

ROOT = Path(__file__).parent.parent.parent
CATALOG = Catalog.packaged()
TOP = 'names = ["www.journal.example"]\n'
CONTROLLER = '[controller]\nname = "Journal SAS"\ncontact = "donnees@journal.example"\npolicy = "/confidentialite"\n'
WHOLE = TOP + CONTROLLER
AUDIENCE = f'[purposes.audience]\nexempt = "audience"\nattest = {list(ATTESTATIONS)!r}\n'


def read(text: str) -> Loaded:
    return parse(text, "volens.toml", CATALOG)


def mistakes(text: str) -> tuple[Mistake, ...]:
    """Everything said of ``text``, warnings too."""
    try:
        return read(text).warnings
    except ConfigError as error:
        assert any(mistake.fatal for mistake in error.mistakes)
        return error.mistakes


def said(text: str, *, fatal: bool = True) -> str:
    """The mistakes (or the warnings) as a person reads them."""
    return "\n".join(str(mistake) for mistake in mistakes(text) if mistake.fatal is fatal)


def test_the_least_configuration_loads() -> None:
    loaded = read(WHOLE)
    assert loaded.warnings == ()
    assert loaded.site.name == "www.journal.example"
    assert loaded.site.hosts == ("www.journal.example",)
    assert loaded.site.notice.scope == ("www.journal.example",)
    assert [p.id for p in loaded.site.notice.purposes] == ["technique"]
    assert loaded.site.notice.months == 6
    assert not loaded.site.unconfigured


@pytest.mark.parametrize("missing", ["name", "contact", "policy"])
def test_without_controller_contact_and_policy_nothing_loads(missing: str) -> None:
    text = "\n".join(line for line in WHOLE.splitlines() if not line.startswith(missing + " "))
    assert f"[controller] {missing}: missing." in said(text)


def test_an_empty_file_says_all_that_is_missing() -> None:
    assert re.findall(r"^(\S+): missing", said(""), re.MULTILINE) == ["names", "controller"]


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    text = 'names = ["http://www.journal.example/"]\nmod = "enforce"\n[controller]\nname = "J"\ncontact = "rue"\n'
    text += '[services.youtub]\n[[gates]]\npath = "x"\npurpose = "nope"\n'
    with pytest.raises(ConfigError) as caught:
        read(text)
    lines = [mistake.place for mistake in caught.value.mistakes if mistake.fatal]
    for place in (
        "line 1 names",
        "line 2 mod",
        "line 3 [controller] policy",
        "line 5 [controller] contact",
        "line 6 [services.youtub]",
        "line 8 [gates 1] path",
        "line 9 [gates 1] purpose",
    ):
        assert place in lines
    assert "Did you mean 'mode'?" in str(caught.value)
    assert "Did you mean 'youtube'" in str(caught.value)


MISTAKES = [
    # text after [controller] unless it begins with '^': then at the top; what is said
    ('^mode = "block"', "'block' is not known. Use one of: enforce, observe."),
    ("^mode = 3", "mode: 3 stands here. Write a text"),
    ('^prefix = "volens"', "'volens' cannot be a reserved path"),
    ('^prefix = "/"', "cannot be a reserved path"),
    ('^gpc = "yes"', "Write true or false"),
    ('[cache]\nshared = "all"', "'all' is not known. Use one of: nothing, undecided, answers."),
    ('[cache]\nshared = "answers"\n[regions]\nfollow = true\nheader = "CF-IPCountry"', "with [regions] they depend on more."),
    ('[cache]\nshared = "answers"\n[minors]\nheader = "X-Age"', "with header of [minors] they depend on more."),
    ('^hosts = "static.example"', "Write a list of texts"),
    ('^hosts = ["static.example:8080"]', "without scheme, port or path: 'static.example'"),
    ('^hosts = ["*.com"]', "covers other people's sites"),
    ('^hosts = ["a b"]', "is not a host name"),
    ('^leave = ["flux"]', "'flux' is not a path."),
    ('^languages = ["fr", "tlh"]', "'tlh' has no complete texts. Use one of: fr, en"),
    ("^languages = []", "the list is empty"),
    ("[audience]\nmonths = 26", "26 months. Write 1 to 25: longer is not exempt (R27)."),
    ("[audience]\nmonths = 0", "0 months. Write 1 to 25"),
    ("[audience]\npaths = 7", "7 paths a day. Write 50 to 20000"),
    ("[audience]\nmerge = ['compte/*']", "'compte/*' is not a path."),
    ("[audience]\ncount = 'yes'", "Write true or false, without quotes."),
    ("[admin]\ntoken = 'secret'", "there is no setting 'token' here. Did you mean 'token_file'?"),
    ('hosts = ["a.example"]', "'hosts' belongs at the top of the file"),
    ("[lifetimes]\naccepted = 6\nrefused = 1", "line 8 [lifetimes] refused: yes holds 6 months, no 1 (R19)"),
    ("[lifetimes]\naccepted = 24\nrefused = 24", "Write 1 to 13 months"),
    ("[lifetimes]\naccepted = 0\nrefused = 0", "Write 1 to 13 months"),
    ("[purposes.x]\ntitle.fr = 'X'\ntitle.en = 'X'", "[purposes.x] sentence: no text in 'fr'"),
    ("[purposes.video]\ntitle = 'Films'", "is in one language, and the site offers fr, en"),
    ("[purposes.video]\ntitle.de = 'Filme'", "the site does not offer 'de'"),
    ("[purposes.video]\ndata = ['email']", "'email' is not a kind of data"),
    ("[purposes.video]\nexempt = 'legitimate-interest'", "is no reason for needing no choice (R35)"),
    ("[purposes.audience]\nexempt = 'audience'", "declared exempt without: own-measure, anonymous-statistics"),
    ("[purposes.audience]\nexempt = 'audience'\nattest = ['own-measure']", "without: anonymous-statistics, no-cross-site"),
    (AUDIENCE.replace("own-measure", "own-measur"), "Did you mean 'own-measure'?"),
    ("[purposes.publicite]\nexempt = 'interface'", "a purpose that creates profiles needs a choice"),
    ("[purposes.X]", "cannot be the name of a purpose"),
    ("[purposes.social]\nreplaces = 'sociaux'", "is not a built-in purpose that is free"),
    ("[purposes.video]\ntitel.fr = 'x'", "Did you mean 'title'?"),
    ("[services.youtub]", "the catalog has no service 'youtub'. Did you mean 'youtube'"),
    ("[services.own]\nname = 'Own'", "the catalog has no service 'own'"),
    ("[services.own]\nname = 'Own'\npurposes = []", "no purpose."),
    ("[services.own]\nname = 'Own'\npurposes = ['statistics']", "purpose 'statistics' is not declared"),
    ("[services.video]\nname = 'V'\npurposes = ['video']", "'video' is the name of a purpose"),
    ("[services.youtube]\npurposes = ['technique']", "is known as a tracker (video), under exempt purposes only"),
    ("[services.own]\nname = 'Own'\npurposes = ['technique']\nprofiles = true", "a service that creates profiles, or loads from anywhere"),
    ("[services.own]\nname = 'Own'\npurposes = ['technique']\nchain = true", "a service that creates profiles, or loads from anywhere"),
    ("[services.google-analytics]\npurposes = ['audience']\n" + AUDIENCE, "write audience_exempt = true"),
    ("[services.youtube]\npolicy = 'javascript:alert(1)'", "is not a link"),
    (
        "[services.youtube]\nstorage = [{ name = 'a', purpose = 'publicite' }]",
        "'publicite' is not a purpose of this service. Use one of: video",
    ),
    ("[services.youtube]\nembed = 'popup'", "'popup' is not known"),
    ("[[storage]]\nmedium = 'local'", "[storage 1] name: missing"),
    ("[[storage]]\nname = '*'", "'*' is every key there is"),
    ("[[storage]]\nname = 'a*b'", "cannot be the name of a storage key"),
    ("[[storage]]\nname = 'a'\nmedium = 'paper'", "'paper' is not known"),
    ("[[storage]]\nname = 'a'\n[[storage]]\nname = 'a'", "'a' is declared twice"),
    ("[[storage]]\nname = 'a'\ndays = 396", "exempt and lives 396 days. Write 395"),
    ("[[storage]]\nname = 'a'\npurpose = 'audience'\n" + AUDIENCE, "nothing says how long it lives"),
    ("[[gates]]\npath = '/comments'\npurpose = 'technique'", "'technique' is exempt: the gate would always be open"),
    ("[[gates]]\npath = '/comments'\npurpose = 'commentaires'", "purpose 'commentaires' is not declared"),
    ("[[gates]]\npath = '/comments'\npurpose = 'video'\nservices = ['disqus']", "service 'disqus' is not declared"),
    (
        "[services.youtube]\n[[gates]]\npath = '/comments'\npurpose = 'reseaux-sociaux'\nservices = ['youtube']",
        "'youtube' does not serve 'reseaux-sociaux'",
    ),
    ("[[gates]]\npath = '/_volens/choice'\npurpose = 'video'", "is under the reserved path"),
    ("[[gates]]\npath = '/x'\npurpose = 'video'\nmethods = ['PO ST']", "is not a method"),
    ("[[gates]]\npath = '/x*'\npurpose = 'video'\nwithdrawn = 'mine'", "'mine' is not an address"),
    ("[[gates]]\npath = '/x*'\npurpose = 'video'\nwithdrawn = '/xy'", "'/xy' is behind this gate"),
    ("[retention]\ndays = 100", "100 days, and a choice holds for 6 months: it would go on without its proof. Write 186 or more."),
    ("[retention]\npurposes = { publicite = 30 }", "[retention.purposes] publicite: 30 days"),
    ("[retention]\npurposes = { publicite = 'long' }", "'long'. Write a number of days."),
    ("[theme]\nbackground = '#fff'\ntext = '#999'", "has a contrast of 2.8"),
    ("[theme]\ntext = '#cccccc'", "has a contrast of 1.6"),
    ("[theme]\naccent = 'red;}body{display:none'", "is not a colour"),
    ("[theme]\nradius = '4px;x'", "is not a length"),
    ("[theme]\nfont = 'a;b'", "is not a list of fonts"),
    ("[theme]\nposition = 'middle'", "'middle' is not known"),
    ("[theme]\nrefuse = '#eee'", "there is no setting 'refuse'"),
    ("^reviewed = ['de']", "the site does not offer 'de'. Use one of: fr, en."),
    ("[texts]\nacept.fr = 'Tout accepter'", "there is no text 'acept'. Did you mean 'accept'?"),
    ("[texts]\nrefuse.fr = 'Continuer sans accepter'", "does not plainly name what the button does (R05, R07)"),
    ("[texts]\nrefuse.fr = 'refuser'", "only one of them says 'tout' (R05)"),
    ("[texts]\naccept.en = 'ACCEPT ALL'", "stands out by capitals or signs"),
    ("[texts]\naccept.en = 'Accept all 👍'", "stands out by capitals or signs"),
    ("[texts]\nsettings.en = 'More'", "does not plainly name what the button does"),
    ("[texts]\nask.no.en = 'No: unfortunately you get the limited version.'", "'unfortunately' shames"),
    ("[texts]\nask.yes.fr = 'Oui : la meilleure expérience.'", "'meilleure expérience' makes one answer look better"),
    ("[texts]\nask.title.en = 'By continuing you agree.'", "takes doing nothing for a yes"),
    ("[texts]\nask.title.en = 'Only 10 seconds!'", "presses for time"),
    ("[texts]\nask.text.en = 'We ask.'", "Keep {controller}, {services}"),
    ("[texts]\nask.title.en = '{x}'", "Nothing is filled in there"),
    ("[proxy]\nlisten = 'here'", "is not an address with a port"),
    ("[proxy]\nupstream = 'localhost'", "is not an address"),
    ("[proxy]\ntrusted = ['10.0.0.1/8']", "is not a network"),
    ("services = 3", "there is no setting 'services'"),
]


@pytest.mark.parametrize(("text", "says"), MISTAKES, ids=[says[:50] for _, says in MISTAKES])
def test_a_mistake_is_found_and_told(text: str, says: str) -> None:
    whole = text[1:] + "\n" + WHOLE if text.startswith("^") else WHOLE + text
    assert says in said(whole)


WARNINGS = [
    ('^hosts = ["www.google-analytics.com"]', "the catalog knows it as Google Analytics (analytics)"),
    ("[services.youtube]\n[[gates]]\npath = '/x'\npurpose = 'video'", "nothing says why this path needs a choice"),
    ("[services.own]\nname = 'Own'\npurposes = ['video']\nhosts = ['own.example']", "no policy link"),
    ("[services.own]\nname = 'Own'\npurposes = ['video']\npolicy = '/p'", "neither hosts nor storage nor gate"),
    ("[[storage]]\nname = '_ga'", "'_ga' is declared exempt, and the catalog knows it from"),
    ("[purposes.video]", "the visitor is asked, and no service, gate or storage key serves it"),
    ("[lifetimes]\naccepted = 12\nrefused = 12", "The good practice is to ask again after 6"),
]


@pytest.mark.parametrize(("text", "says"), WARNINGS, ids=[says[:50] for _, says in WARNINGS])
def test_a_warning_lets_the_site_run(text: str, says: str) -> None:
    whole = text[1:] + "\n" + WHOLE if text.startswith("^") else WHOLE + text
    assert read(whole)
    assert says in said(whole, fatal=False)


def test_a_service_of_the_catalog_needs_no_more_than_its_name() -> None:
    service = read(WHOLE + "[services.youtube]").site.notice.service["youtube"]
    entry = CATALOG.service("youtube")
    assert entry is not None
    assert (service.name, service.purposes, service.hosts) == (entry.name, ("video",), entry.hosts)
    assert (service.policy_url, service.embed) == (entry.policy_url, "frame")


def test_catalog_storage_comes_with_the_service_but_never_under_a_purpose_it_was_not_granted_for() -> None:
    site = read(WHOLE + "[services.google-analytics]\n[services.facebook]").site
    measured = {key.name: key for key in site.notice.service["google-analytics"].storage}
    assert measured["_ga"].purpose == "personnalisation"
    assert measured["_ga"].service == "google-analytics"
    assert "_fbp" not in [key.name for key in site.notice.service["facebook"].storage if key.purpose == "reseaux-sociaux"]


def test_every_catalog_service_with_a_purpose_loads_by_its_id_alone() -> None:
    ids = [id for id in CATALOG.ids if (entry := CATALOG.service(id)) and entry.purposes]
    assert len(ids) > 1000
    for start in range(0, len(ids), 30):
        text = WHOLE + "".join(f"[services.{id}]\n" for id in ids[start : start + 30])
        assert "[services" not in said(text)


def test_what_the_file_says_replaces_what_the_catalog_says() -> None:
    text = "[services.tube]\ncatalog = 'youtube'\nname = 'Tube'\nhosts = ['tube.example']\nprofiles = true\n"
    text += "storage = [{ name = 'x', days = 3 }]\n"
    service = read(WHOLE + text).site.notice.service["tube"]
    assert (service.name, service.hosts, service.profiles) == ("Tube", ("tube.example",), True)
    assert service.storage == (StorageKey("x", purpose="video", days=3, service="tube"),)


def test_purposes_are_added_renamed_and_removed() -> None:
    text = (
        "[purposes.social]\nreplaces = 'reseaux-sociaux'\ntitle.fr = 'Partage'\ntitle.en = 'Sharing'\n"
        "[purposes.lettre]\ntitle = {fr = 'Lettre', en = 'Letter'}\nsentence = {fr = 'Lire.', en = 'Read.'}\ndata = ['usage']\n"
        "[services.facebook]\n[services.youtube]\n[[storage]]\nname = 'p'\npurpose = 'personnalisation'\n"
    )
    notice = read(WHOLE + text).site.notice
    assert [p.id for p in notice.purposes] == ["technique", "social", "lettre", "video", "personnalisation"]
    assert notice.purpose["social"].title["fr"] == "Partage"
    assert notice.purpose["social"].data_kinds == ("ip", "browsing", "social", "comments")
    assert notice.service["facebook"].purposes == ("social",)
    assert "publicite" not in notice.askable


def test_attested_audience_is_exempt_and_without_attestation_it_asks() -> None:
    matomo = "[services.matomo]\npurposes = ['audience']\nstorage = [{ name = '_pk_id*', days = 390 }]\n"
    assert read(WHOLE + matomo).site.notice.askable == ("audience",)
    exempt = read(WHOLE + AUDIENCE + matomo + "audience_exempt = true\n").site.notice
    assert exempt.askable == ()
    assert not exempt.service["matomo"].profiles


def test_advertising_creates_profiles_unless_it_says_otherwise() -> None:
    ads = "[services.ads]\nname = 'Ads'\npurposes = ['publicite']\nhosts = ['ads.example']\n"
    assert read(WHOLE + ads).site.notice.service["ads"].profiles
    assert not read(WHOLE + ads + "profiles = false").site.notice.service["ads"].profiles


def test_the_policy_volens_makes_is_asked_for_by_name() -> None:
    assert read(WHOLE.replace("/confidentialite", "volens")).site.notice.controller.policy_url == ""


def test_an_answer_that_would_not_fit_its_cookie_is_a_mistake() -> None:
    names = [f"a-service-with-a-long-name-number-{n:04}" for n in range(60)]
    text = "".join(f"[services.{name}]\nname = 'x'\npurposes = ['video']\nhosts = ['{name}.example']\n" for name in names)
    assert "2048 are kept" in said(WHOLE + text)
    assert "are kept" not in said(WHOLE + text[: text.index(f"[services.{names[40]}]")])


def test_paths_are_beside_the_file_and_urls_stay(tmp_path: Path) -> None:
    file = tmp_path / "volens.toml"
    file.write_text('ledger = "data/x.db"\n' + WHOLE, encoding="utf-8")
    assert load(file, CATALOG).ledger == str(tmp_path / "data" / "x.db")
    assert load(file, CATALOG).keys == str(tmp_path / "volens.keys")
    file.write_text('ledger = "postgresql://db/x"\n' + WHOLE, encoding="utf-8")
    assert load(file, CATALOG).ledger == "postgresql://db/x"


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml", CATALOG)
    (tmp_path / "latin.toml").write_bytes(b'names = ["a.example"]\n[controller]\nname = "Soci\xe9t\xe9"\n')
    with pytest.raises(ConfigError, match=r"line 3: byte 0xe9 is not UTF-8"):
        load(tmp_path / "latin.toml", CATALOG)
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load(tmp_path / "bom.toml", CATALOG).site.name == "www.journal.example"


def test_broken_toml_says_where() -> None:
    with pytest.raises(ConfigError, match="line 2, column"):
        read('names = ["a.example"]\nmode = enforce\n')


def test_the_lines_are_right_in_tables_of_tables() -> None:
    text = '# 1\na = """\n[not.a.table]\n"""\n[[gates]]\npath = 1\n[[gates]]\n  "path" = 2\n[gates.title]\nfr = 3\n'
    text += "[[services.x.storage]]\nname = 4\n"
    lines = lines_of(text)
    assert lines[("gates", 1, "path")] == 8
    assert lines[("gates", 1, "title", "fr")] == 10
    assert lines[("services", "x", "storage", 0, "name")] == 12
    assert ("not", "a", "table") not in lines


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 500)
    | st.text(max_size=6)
    | st.sampled_from(["video", "audience", "youtube", "/x", "*", "a.example"])
)


def toml(value: object) -> str:
    """A value in TOML; enough for the test below."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return '"' + "".join(c if (c.isalnum() and c.isascii()) or c in "/.*-" else f"\\U{ord(c):08x}" for c in str(value)) + '"'


keys = st.sampled_from(sorted({key for section in SETTINGS.values() for key in section} | {"fr", "en", "ask", "youtube", "video", "nope"}))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)


@settings(max_examples=300)
@given(st.dictionaries(keys, values, max_size=6))
def test_whatever_the_file_holds_it_loads_or_says_its_mistakes(content: dict[str, object]) -> None:
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in content.items())
    tomllib.loads(text)
    try:
        loaded = read(text + "\n" + (CONTROLLER if "controller" not in content else ""))
    except ConfigError as error:
        assert error.mistakes
        return
    assert loaded.site.notice.digest


def test_page_views_are_counted_where_the_file_says_so_and_the_notice_tells_of_it() -> None:
    assert read(WHOLE).site.audience is None and read(WHOLE + "[audience]\ncount = false\n").site.audience is None
    loaded = read(WHOLE + "[audience]\nmonths = 13\nmerge = ['/compte/*']\n")
    assert loaded.site.audience is not None
    assert (loaded.site.audience.months, loaded.site.audience.paths, loaded.site.audience.merge) == (13, 2000, ("/compte/*",))
    told = loaded.site.notice.purpose["audience"]
    assert told.exempt == "audience" and told.data_kinds == ("browsing",)
    assert loaded.audience == "volens-audience.db" and loaded.admin_token == ""
    assert read(WHOLE + "[admin]\ntoken_file = 'volens.token'\n").admin_token == "volens.token"


def test_counting_exempts_no_other_tool() -> None:
    """A purpose that the site asks about, or that a service uses, stays asked."""
    for more in ("[purposes.audience]\n", "[services.mesure]\nname = 'Mesure'\npurposes = ['audience']\nhosts = ['mesure.example']\n"):
        assert not read(WHOLE + more + "[audience]\n").site.notice.purpose["audience"].exempt
    renamed = read(WHOLE + "[purposes.stats]\nreplaces = 'audience'\n[audience]\n").site.notice
    assert [p.id for p in renamed.purposes] == ["technique", "stats"]


def documented() -> list[str]:
    return re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_examples_of_the_reference_make_one_file_that_loads_and_names_every_setting() -> None:
    text = "\n".join(documented())
    assert said(text) == ""
    values = tomllib.loads(text)
    for section, known in SETTINGS.items():
        name, _, each = section.partition(".")
        here = values if not name else values[name] if each in ("", "*") else values[name][each]
        groups = list(here.values()) if each == "*" else here if isinstance(here, list) else [here]
        used = {key for group in groups for key in group}
        assert not set(known) - used, f"[{section}] without an example"
        assert not used - set(known)


def reference() -> dict[str, list[tuple[list[str], str]]]:
    """The rows of the reference by table of the file: the settings that a row names, and its column *default*."""
    text = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    found = {}
    for heading, section in re.findall(r"^## (The top of the file|`\[.*?)$(.*?)(?=^## `|\Z)", text, re.MULTILINE | re.DOTALL):
        table = "".join(re.findall(r"\w+|\.", heading)) if heading.startswith("`") else ""
        rows = re.findall(r"^\| (`[^|]*?) \| ([^|]*?) \|", section, re.MULTILINE)
        found[table.replace(".NAME", ".*")] = [(re.findall(r"`(\w+)`", names), told) for names, told in rows]
    return found


def test_every_setting_stands_in_its_table_of_the_reference() -> None:
    rows = reference()
    for section, known in SETTINGS.items():
        if section == "proof.witnesses":
            continue  # told with [proof]
        known = {**known, **SETTINGS["proof.witnesses"]} if section == "proof" else known
        told = {name for names, _ in rows[section] for name in names}
        tables = {name for name, kind in known.items() if kind in (kinds.table, kinds.tables)} if not section else set()
        assert set(known) - tables <= told <= set(known), section
    text = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    for name in ATTESTATIONS:
        assert f"`{name}`" in text


NEEDED = {  # what a table cannot do without, so that one default of it can be left out or written
    "hooks": 'on_change = "https://www.journal.example/volens"',
    "storage": 'name = "lectures"',
    "gates": 'path = "/commentaires/*"\npurpose = "reseaux-sociaux"',
    "services.*": 'purposes = ["publicite"]\nname = "Régie"\nhosts = ["ads.regie.example"]\npolicy = "https://regie.example/"',
}
DEFAULTS = [
    (table, name, found[1])
    for table, rows in reference().items()
    for names, told in rows
    for name in names
    if len(names) == 1 and (found := re.match(r"`([\[\"\d].*?|true|false)`(?:$|;)", told))
]


@pytest.mark.parametrize(("table", "name", "value"), DEFAULTS)
def test_a_default_that_the_reference_tells_is_what_holds_where_nothing_is_written(table: str, name: str, value: str) -> None:
    written = f"{name} = {value}\n"
    if not table:
        assert read(TOP + written + CONTROLLER) == read(WHOLE)
        return
    head = f"[[{table}]]" if SETTINGS[""].get(table) is kinds.tables else f"[{table.replace('*', 'regie')}]"
    without = f"{WHOLE}{head}\n{NEEDED.get(table, '')}\n"
    assert read(without + written) == read(without)


def test_the_reference_tells_many_defaults() -> None:
    assert len(DEFAULTS) > 30


def test_no_file_of_the_configurations_lies_where_pages_are_published(tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    (tmp_path / "volens.toml").write_text(WHOLE, "utf-8")
    outside(load(tmp_path / "volens.toml", CATALOG), public)
    top = [f'{name} = "public/x"' for name in ("ledger", "keys")]
    tables = ["audience.file", "report.file", "proof.key", "accounts.file", "admin.token_file", "hooks.secret"]
    needed = '\nhooks.on_change = "https://www.journal.example/volens"'
    for line in (*top, *(f'{name} = "public/x"{needed if name.startswith("hooks") else ""}' for name in tables)):
        (tmp_path / "volens.toml").write_text(f"{line}\n{WHOLE}", "utf-8")
        with pytest.raises(ConfigError, match="anybody could read it"):
            outside(load(tmp_path / "volens.toml", CATALOG), public)
    (public / "volens.toml").write_text(WHOLE, "utf-8")
    with pytest.raises(ConfigError, match=r"volens\.toml lies in"):
        outside(load(public / "volens.toml", CATALOG), public)


def test_the_example_for_a_news_site_loads_without_a_warning() -> None:
    loaded = load(ROOT / "docs/examples/volens.toml", CATALOG)
    assert [str(warning) for warning in loaded.warnings] == []


@pytest.mark.parametrize("language", sorted(shipped_texts()))
def test_the_shipped_texts_pass_their_own_word_list(language: str) -> None:
    words = shipped_texts()[language]
    assert [(name, c.found) for name, text in words.items() for c in judge(text, language, name)] == []
    assert judge_pair(words["accept"], words["refuse"], language) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Non merci, je préfère ne pas soutenir la presse", "fr"),
        ("Êtes-vous vraiment sûr ?", "fr"),
        ("Vous allez manquer nos contenus", "fr"),
        ("En poursuivant votre navigation, vous acceptez", "fr"),
        ("Continuer (recommandé)", "fr"),
        ("No thanks, I don't like free news", "en"),
        ("Are you sure?", "en"),
        ("Accept (recommended)", "en"),
        ("If you continue, you agree", "en"),
        ("I’d rather not", "en"),
    ],
)
def test_words_that_push_are_found(text: str, language: str) -> None:
    assert judge(text, language)


def test_the_controllers_country_is_one_and_the_page_we_make_asks_for_it() -> None:
    where = 'policy = "/confidentialite"\n'
    assert read(WHOLE.replace(where, where + 'country = "fr"\n')).site.notice.controller.country == "FR"
    for wrong in ("France", "ZZ", "EU", "UK"):
        assert any("is no country" in m.found for m in mistakes(WHOLE.replace(where, where + f'country = "{wrong}"\n'))), wrong
    (warning,) = read(WHOLE.replace(where, 'policy = "volens"\n')).warnings
    assert "country" in warning.place and not warning.fatal


def test_the_sites_own_text_stands_around_the_policy_page() -> None:
    site = read(WHOLE + '\n[policy]\nbefore.fr = "## Notre rédaction"\nbefore.en = "## Our newsroom"\n').site
    assert site.policy_before["en"] == "## Our newsroom" and not site.policy_after
    assert any("no text in 'en'" in m.found for m in mistakes(WHOLE + '\n[policy]\nafter = { fr = "Fin." }\n'))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[address]\nrefused = "some"', "'some' is not known"),
        ('[address]\nrefused = "full"', "whole address is told whatever the visitor answers"),
        ('[address]\ngranted = "none"', "a refusal tells more (truncated) than an agreement (none)"),
        ('[address]\npurposes = ["technique"]', "'technique' is exempt: the address would always be told"),
        ('[address]\npurposes = ["meteo"]', "purpose 'meteo' is not declared"),
        ('[address]\nplaces = ["X City"]', "'x city' is no header name"),
        ('[address]\nsecurity = "bloquer"', "is in one language"),
        ('[hooks]\nvisitor = "a"', "on_change: missing"),
        ('[hooks]\non_change = "/volens"', "is not the address of an end point"),
        ('[hooks]\non_change = "https://me:pass@www.example.org/v"', "is not the address of an end point"),
        ('[hooks]\non_change = "https://www.example.org/v"\nvisitor = "nobody"', "no first-party cookie 'nobody' is declared"),
        ('[hooks]\non_change = "https://www.example.org/v"\nvisitor_sent = "clear"', "'clear' is not known"),
    ],
)
def test_a_mistake_in_what_is_told_of_visitors_is_said(text: str, found: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(WHOLE + text)
    assert found in str(raised.value)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://www.example.org/v", False),
        ("http://127.0.0.1:3000/v", False),
        ("http://app:3000/v", False),
        ("http://10.0.0.7/v", False),
        ("http://www.example.org/v", True),
    ],
)
def test_a_hook_in_the_clear_is_warned_of_unless_it_stays_near(url: str, warned: bool) -> None:
    loaded = read(f'{WHOLE}\n[hooks]\non_change = "{url}"\nvisitor = "session"\n[[storage]]\nname = "session"')
    assert any("in the clear" in str(warning) for warning in loaded.warnings) == warned
    assert loaded.site.hook is not None and (loaded.site.hook.visitor, loaded.site.hook.plain) == ("session", False)


KEY = "temoin.example.org+aaff639a+BPA6jUNiNUW5dAPcPlOxh2BbcWx2bFzyVK3HF2ozSTn6"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('witnesses = [{ url = "temoin.example.org", key = "KEY" }]', "'temoin.example.org' is not the address of a witness"),
        ('witnesses = [{ url = "https://u:p@temoin.example.org", key = "KEY" }]', "is not the address of a witness"),
        ('witnesses = [{ key = "KEY" }]', "url: missing"),
        ('witnesses = [{ url = "https://temoin.example.org" }]', "key: missing"),
        ('witnesses = [{ url = "https://temoin.example.org", key = "KEYs" }]', "a letter of it was changed"),
        (
            'witnesses = [{ url = "https://temoin.example.org", key = "temoin+aaff639a+BPA6jUNiNUW5dAPcPlOxh2BbcWx2bFzyVK3HF2ozSTn6" }]',
            "a letter",
        ),
        ('witnesses = [{ url = "https://a.example", key = "KEY" }, { url = "https://b.example", key = "KEY" }]', "stands twice"),
        ("quorum = 1", "1 witnesses are wanted, and 0 named"),
        ("key = 1", "Write a text"),
    ],
)
def test_a_mistake_in_what_proves_is_said(text: str, found: str) -> None:
    assert found in said(WHOLE + "[proof]\n" + text.replace("KEYs", KEY[:-1] + "7").replace("KEY", KEY))


def test_witnesses_are_read_and_the_key_lies_beside_the_file(tmp_path: Path) -> None:
    text = f'[proof]\nkey = "keys/log"\nquorum = 1\nwitnesses = [{{ url = "https://temoin.example.org/", key = "{KEY}" }}]\n'
    loaded = parse(WHOLE + text, "volens.toml", CATALOG, base=tmp_path)
    assert (loaded.log_key, loaded.site.proof.quorum) == (str(tmp_path / "keys/log"), 1)
    assert [(w.url, w.key, w.name) for w in loaded.site.proof.witnesses] == [("https://temoin.example.org", KEY, "temoin.example.org")]
    assert parse(WHOLE, "volens.toml", CATALOG, base=tmp_path).site.proof.witnesses == ()
