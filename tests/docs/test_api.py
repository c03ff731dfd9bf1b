"""docs/api.yaml is well formed, its examples are true, and it names exactly the routes that batond serves."""

import json
import pathlib
import re

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "delete")
ROLES = ("none", "viewer", "operator", "admin", "node")

# Members that an object of the description may have: one that is not here is a slip of the pen (in YAML
# one comma too many makes a member), so it is refused.
ALLOWED = {
    "root": "openapi jsonSchemaDialect info servers security tags paths components",
    "path": "parameters " + " ".join(METHODS),
    "operation": "operationId tags summary description x-baton-role security parameters requestBody responses",
    "parameter": "name in required description x-baton-rest schema example",
    "body": "required content",
    "response": "description headers content",
    "media": "schema example",
    "header": "description schema example",
}
KEYWORDS = set(
    """$ref type enum const pattern format description properties required additionalProperties items oneOf
    minLength maxLength minimum maximum minItems maxItems minProperties default example x-baton-codes""".split()
)


class NoDuplicates(yaml.SafeLoader):
    pass


def mapping_once(loader, node):
    names = [key.value for key, _ in node.value]
    doubled = {name for name in names if names.count(name) > 1}
    assert not doubled, f"{node.start_mark}: twice: {doubled}"
    return loader.construct_mapping(node, deep=True)


NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping_once)


@pytest.fixture(scope="module")
def api():
    with open(ROOT / "docs/api.yaml", encoding="utf-8") as file:
        return yaml.load(file, NoDuplicates)  # a SafeLoader


def resolve(api, item):
    """Follows $ref; siblings of a $ref (OpenAPI 3.1 allows them) are kept."""
    seen = 0
    while isinstance(item, dict) and "$ref" in item:
        ref = item["$ref"]
        assert ref.startswith("#/"), ref
        target = api
        for part in ref[2:].split("/"):
            assert part in target, f"{ref} leads nowhere"
            target = target[part]
        item = target
        seen += 1
        assert seen < 10, f"{ref} turns in a circle"
    return item


def operations(api):
    for path, item in api["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method], item.get("parameters", []) + item[method].get("parameters", [])


def check_members(kind, item, where):
    extra = set(item) - set(ALLOWED[kind].split())
    assert not extra, f"{where}: unknown {sorted(extra)}"
    for name, value in item.items():
        assert value is not None, f"{where}: {name} is empty"


def check_schema(api, schema, where):
    assert isinstance(schema, dict), where
    extra = set(schema) - KEYWORDS
    assert not extra, f"{where}: unknown keyword {sorted(extra)}"
    if "$ref" in schema:
        resolve(api, schema)
    properties = schema.get("properties", {})
    for name in schema.get("required", []):
        assert name in properties or "oneOf" not in schema and not properties, f"{where}: requires unknown '{name}'"
    if schema.get("type") == "object" and properties:
        assert "additionalProperties" in schema, f"{where}: say additionalProperties"
    for name, inner in properties.items():
        check_schema(api, inner, f"{where}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            check_schema(api, schema[name], f"{where}.{name}")
    for inner in schema.get("oneOf", []):
        if set(inner) != {"required"}:
            check_schema(api, inner, f"{where}.oneOf")


def media_of(api):
    """Every media object with its place: bodies and answers."""
    for path, method, operation, _ in operations(api):
        where = f"{method} {path}"
        if "requestBody" in operation:
            body = resolve(api, operation["requestBody"])
            check_members("body", body, where)
            for kind, media in body["content"].items():
                yield f"{where} body", kind, media
        for status, answer in operation["responses"].items():
            for kind, media in resolve(api, answer)["content"].items():
                yield f"{where} {status}", kind, media


def validator(api, schema):
    store = {"": api}
    resolver = jsonschema.RefResolver(base_uri="", referrer=api, store=store)
    return jsonschema.Draft202012Validator(
        schema, resolver=resolver, format_checker=jsonschema.FormatChecker(formats=())
    )


def test_structure(api):
    check_members("root", api, "api.yaml")
    assert api["openapi"] == "3.1.0"
    tags = [tag["name"] for tag in api["tags"]]
    for path, item in api["paths"].items():
        check_members("path", item, path)
    for path, method, operation, parameters in operations(api):
        where = f"{method} {path}"
        check_members("operation", operation, where)
        assert operation["x-baton-role"] in ROLES, where
        assert operation["summary"], where
        assert len(operation["tags"]) == 1 and operation["tags"][0] in tags, where
        assert method == "get" or "requestBody" not in operation or method in ("put", "post"), where
        for parameter in parameters:
            check_members("parameter", resolve(api, parameter), where)


def test_operation_ids_are_unique(api):
    names = [operation["operationId"] for _, _, operation, _ in operations(api)]
    assert sorted(names) == sorted(set(names))
    assert all(re.fullmatch("[a-z][a-z_]+", name) for name in names)


def test_path_parameters_are_declared(api):
    for path, method, _, parameters in operations(api):
        parameters = [resolve(api, parameter) for parameter in parameters]
        named = [p["name"] for p in parameters if p["in"] == "path"]
        assert re.findall(r"\{(\w+)\}", path) == named, f"{method} {path}"
        keys = [(p["in"], p["name"]) for p in parameters]
        assert len(keys) == len(set(keys)), f"{method} {path}"


def test_every_operation_says_how_it_fails(api):
    """S29."""
    for path, method, operation, _ in operations(api):
        where = f"{method} {path}"
        failures = [status for status in operation["responses"] if status[0] in "45"]
        assert any(status[0] == "4" for status in failures), where
        assert any(status[0] == "2" for status in operation["responses"]), where
        if operation["x-baton-role"] != "none":
            assert {"401", "403"} <= set(failures), where
        else:
            assert operation["security"] == [], where
        if operation["x-baton-role"] == "node":
            assert operation["security"] == [{"certificate": []}], where
        if "requestBody" in operation:
            assert "400" in failures, where
        for status, answer in operation["responses"].items():
            answer = resolve(api, answer)
            check_members("response", answer, f"{where} {status}")
            if status[0] == "4":
                assert list(answer["content"]) == ["application/problem+json"], f"{where} {status}"
            for header in answer.get("headers", {}).values():
                check_members("header", resolve(api, header), f"{where} {status}")


def test_problem_examples_have_the_right_status(api):
    for path, method, operation, _ in operations(api):
        for status, answer in operation["responses"].items():
            media = resolve(api, answer)["content"].get("application/problem+json")
            if media is not None:
                assert media["example"]["status"] == int(status), f"{method} {path} {status}"


def test_schemas(api):
    for name, schema in api["components"]["schemas"].items():
        check_schema(api, schema, name)
        jsonschema.Draft202012Validator.check_schema(schema)
    for where, _, media in media_of(api):
        check_members("media", media, where)
        check_schema(api, media["schema"], where)


def test_examples_are_true(api):
    checked = 0
    for where, _, media in media_of(api):
        if "example" not in media:
            continue
        errors = list(validator(api, media["schema"]).iter_errors(media["example"]))
        assert not errors, f"{where}: {errors[0].json_path}: {errors[0].message}"
        checked += 1
    assert checked > 100


def test_a_wrong_example_is_found(api):
    """The check above can fail: break one on purpose."""
    schema = {"$ref": "#/components/schemas/Written"}
    assert validator(api, schema).is_valid({"revision": 1, "epoch": {"number": 1, "holder": "a"}})
    assert not validator(api, schema).is_valid({"revision": "1", "epoch": {"number": 1, "holder": "a"}})
    assert not validator(api, schema).is_valid({"revision": 1, "epoch": {"number": 1, "holder": "a"}, "more": 1})


def test_no_component_is_unused(api):
    text = (ROOT / "docs/api.yaml").read_text(encoding="utf-8")
    named_in_text = {"EventConfig", "EventRole", "EventLease", "EventTakeover", "EventAlarm"}  # the stream's data, which OpenAPI cannot describe
    for kind in ("schemas", "responses", "parameters", "headers"):
        for name in api["components"][kind]:
            used = f'#/components/{kind}/{name}"' in text
            assert used or name in named_in_text, f"nobody uses {kind}/{name}"


def test_codes(api):
    codes = api["components"]["schemas"]["Code"]["x-baton-codes"]
    kinds = set(api["components"]["schemas"]["Kind"]["enum"])
    header = (ROOT / "controller/base/err.h").read_text(encoding="utf-8")
    assert kinds == set(re.findall(r'X\(ERR_\w+, \d+, \d+, "(\w+)"\)', header)) - {"none"}
    for code, row in codes.items():
        assert set(row) == {"kind", "text"}, code
        assert set(kinds_of(row)) <= kinds, code
    for where, kind, media in media_of(api):
        if kind == "application/problem+json":
            example = media["example"]
            assert example["code"] in codes, where
            assert example["kind"] in kinds_of(codes[example["code"]]), where


def kinds_of(row):
    return row["kind"] if isinstance(row["kind"], list) else [row["kind"]]


# Slugs that stay inside: told as the text of a probe or an activation, a program error, or of the start of batond and of offline commands.
INSIDE = set("address_denied backup_cut backup_form backup_newer bad_name copy empty_statement fetch_trust gate_state header lease_no_rule url listen listen_address node_no_rule promo_no_rule "
             "not_a_member too_many_members too_many_voters twin_lives twin_unclear".split())


def test_codes_are_those_of_the_program(api):
    """S24: Every slug in the sources that answer requests is a code, or is named in the text of one."""
    codes = api["components"]["schemas"]["Code"]["x-baton-codes"]
    named = {word for row in codes.values() for word in re.findall(r"[a-z]+(?:_[a-z]+)+|dns|deadline|shutdown", row["text"])}
    header = (ROOT / "controller/base/err.h").read_text(encoding="utf-8")
    kind_of = dict(re.findall(r'X\((ERR_\w+), \d+, \d+, "(\w+)"\)', header))
    sources = ["controller/api/*.c", "controller/daemon/driver*.c", "controller/daemon/writer.c", "controller/loop/pq*.c",
               "controller/loop/fetch*.c", "controller/http/*.c", "replication/*.c", "sites/*.c"]
    seen = 0
    for path in (path for pattern in sources for path in sorted(ROOT.glob(pattern))):
        text = path.read_text(encoding="utf-8")
        for symbol, slug in re.findall(r'(?:err_set|call_refuse|serve_fault)\(\s*[^,;]+,\s*(ERR_\w+),\s*"(\w+)"', text):
            seen += 1
            where = f"{path.relative_to(ROOT)}: {symbol} {slug}"
            assert slug in codes or slug in named or slug in INSIDE, f"{where}: not in x-baton-codes"
            if slug in codes:
                assert kind_of[symbol] in kinds_of(codes[slug]), where
    assert seen > 100


def test_no_code_is_only_told(api):
    sources = [path.read_text(encoding="utf-8") for folder in ("controller", "replication", "schema", "sites")
               for path in (ROOT / folder).rglob("*") if path.suffix in (".c", ".h", ".sql")]
    for code in api["components"]["schemas"]["Code"]["x-baton-codes"]:
        assert any(f'"{code}"' in text or f"'{code}'" in text for text in sources), f"no program says {code}"


def test_what_is_not_there_is_named_alike(api):
    """THING_not_found, here and in offline commands, and nothing else is called so."""
    seen = set()
    for path in sorted((ROOT / "controller").rglob("*.c")):
        for symbol, slug in re.findall(r'\(\s*[^,;]+,\s*(ERR_\w+),\s*"(\w+)"', path.read_text(encoding="utf-8")):
            if symbol == "ERR_NOT_FOUND" or slug.endswith("_not_found"):
                seen.add(slug)
                assert symbol == "ERR_NOT_FOUND" and re.fullmatch("[a-z]+_not_found", slug), f"{path}: {symbol} {slug}"
    assert len(seen) > 10
    for code, row in api["components"]["schemas"]["Code"]["x-baton-codes"].items():
        assert (row["kind"] == "not_found") == code.endswith("_not_found"), code


def routes_of_the_program():
    """Every row of ROUTE_TABLE: (operation, method, path, role, query parameters)."""
    text = (ROOT / "controller/api/routes.h").read_text(encoding="utf-8")
    rows = re.findall(r'X\((\w+),\s*([A-Z]+),\s*"(/[^"]*)",\s*(\w+),\s*"([^"]*)"\)', text)
    assert len(rows) == text.count(" X(") > 40, "a row of ROUTE_TABLE cannot be read"
    return {(name, verb.lower(), path, role.lower(), query) for name, verb, path, role, query in rows}


def test_routes_are_those_of_the_program(api):
    told = set()
    for path, method, operation, parameters in operations(api):
        parameters = [resolve(api, parameter) for parameter in parameters]
        if any(parameter.get("x-baton-rest") for parameter in parameters):
            path = re.sub(r"\{(\w+)\}$", r"{\1...}", path)
        query = ",".join(parameter["name"] for parameter in parameters if parameter["in"] == "query")
        told.add((operation["operationId"], method, path, operation["x-baton-role"], query))
    free = {route[0] for route in routes_of_the_program() if route[4] == "*"}  # peers check their own
    assert all(name.startswith("peer_") for name in free)
    served = {route[:4] + ("*",) if route[0] in free else route for route in routes_of_the_program()}
    told = {route[:4] + ("*",) if route[0] in free else route for route in told}
    assert told - served == set(), "in docs/api.yaml and not served"
    assert served - told == set(), "served and not in docs/api.yaml"


# Documents that tests/unit shows to people: cli_PREFIX....json is what the API may answer.
SHOWN = {
    "status": "Status",
    "plan": "PromotionPlan",
    "promotion": "Promotion",
    "promotions": "PromotionList",
    "explain": "Explain",
    "entries": "EntryList",
    "history": "History",
    "local": "LocalList",
    "doctor": "Doctor",
    "setaside": "Setaside",
    "setaside_list": "SetasideList",
    "tokens": "TokenList",
    "users": "UserList",
    "instances_one": "Instances",
    "instances_list": "InstanceList",
    "agent_tokens": "AgentTokenList",
    "sites": "SiteList",
    "connector": "ConnectorDetail",
    "arbiter": "Arbiter",
    "arbiter_tested": "ArbiterTested",
    "why": "WhyList",
    "ready": "Ready",
    "pause": "Pause",
    "budget": "Budget",
    "timeouts": "CheckedTimeouts",
}


def test_what_is_shown_is_what_may_be_answered(api):
    seen = set()
    for path in sorted((ROOT / "tests/unit/golden").glob("cli_*.json")):
        name = path.stem[len("cli_"):]
        kind = max((kind for kind in SHOWN if name.startswith(kind)), key=len, default=None)
        document = json.loads(path.read_text(encoding="utf-8"))
        if name.startswith("broken"):
            continue
        assert kind, path
        seen.add(kind)
        errors = list(validator(api, {"$ref": f"#/components/schemas/{SHOWN[kind]}"}).iter_errors(document))
        assert not errors, f"{path.name}: {errors[0].json_path}: {errors[0].message}"
    assert seen == set(SHOWN)
