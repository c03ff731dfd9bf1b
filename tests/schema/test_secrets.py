"""Secrets come into the shared log sealed, or not at all."""
import base64

import pytest

from pg import change, delete, error_of, group, one
from test_write import alice  # noqa: F401 (a fixture)

PLAIN = "correct horse battery staple"
OLD, NEW = "1" * 16, "2" * 16


def sealed(key=OLD, size=40):
    return {"key": key, "sealed": base64.urlsafe_b64encode(b"x" * size).rstrip(b"=").decode()}


def keys(current=OLD):
    return {"current": current, "keys": {current: {"boxes": {}, "left": []}}}


def secret(name, value, if_match=0):
    return {**change("secret/" + name, value), "if_match": if_match}


@pytest.fixture
def sealing(primary):
    assert primary.write([group(change("seal/keys", keys()))])["ok"]
    return primary


def said(answer):
    assert PLAIN not in str(answer)
    return answer.get("code"), answer.get("slug")


@pytest.mark.parametrize("value", [
    PLAIN, None, True, 5, [], {}, [PLAIN], {"value": PLAIN}, {"key": OLD}, {"sealed": PLAIN}, {"key": OLD, "sealed": PLAIN},
    {**sealed(), "plain": PLAIN}, {**sealed(), "sealed": 5}, {**sealed(), "sealed": sealed()["sealed"] + "="},
    {**sealed(), "key": "1" * 15}, {**sealed(), "key": "1" * 15 + "G"}, {**sealed(), "key": 1}, sealed(size=28),
    sealed(size=65536 + 29)])
def test_what_is_not_sealed_is_refused(sealing, value):
    before = sealing.applied()
    assert said(sealing.write([group(secret("pam", value))])) == ("invalid", "secret_plain")
    assert sealing.applied() == before and ("", "secret/pam") not in sealing.config()


def test_sealed_values_pass_at_both_limits(sealing):
    for name, size in (("least", 29), ("most", 65536 + 28)):
        assert sealing.write([group(secret(name, sealed(size=size)))])["ok"]
        assert sealing.config()[("", "secret/" + name)] == sealed(size=size)


def test_a_secret_has_a_name_and_no_site(sealing):
    for item, slug in ((secret("a/b", sealed()), "key_unknown"), (secret("Pam", sealed()), "key_spelling"),
                       ({**secret("pam", sealed()), "site": "east"}, "key_scope")):
        assert said(sealing.write([group(item)])) == ("invalid", slug)


def test_the_owner_himself_puts_nothing_plain_into_the_log(sealing):
    """Past shared.write(), as a superuser on the primary could."""
    insert = ("insert into shared.log (revision, epoch, holder, txn, site, key, value, author, at, hash) "
              "values (3, 1, 'east-1', 3, '', 'secret/pam', to_jsonb(%s::text), 'me', now(), '')")
    code, slug, *_ = error_of(sealing.own, insert, PLAIN)
    assert (code, slug) == ("BT005", "secret_plain")


@pytest.mark.parametrize("call", ["set('secret/pam', to_jsonb('" + PLAIN + "'::text))", "set('secret/pam', '" +
                                  str(sealed()).replace("'", '"') + "')", "unset('secret/pam')"])
def test_people_with_psql_write_no_secret_not_even_a_sealed_one(sealing, alice, call):  # noqa: F811
    code, slug, message = error_of(one, alice, "select shared." + call)[:3]
    assert (code, slug) == ("BT005", "key_secret") and PLAIN not in str(message)


def test_a_secret_is_written_over_what_was_read(sealing):
    assert said(sealing.write([group(change("secret/pam", sealed()))])) == ("invalid", "secret_match")
    assert said(sealing.write([group(delete("secret/pam"))])) == ("invalid", "secret_match")
    first = sealing.write([group(secret("pam", sealed()))])
    assert said(sealing.write([group(secret("pam", sealed()))])) == ("precondition_failed", "precondition_failed")
    assert sealing.write([group(secret("pam", sealed(size=50), first["revision"]))])["ok"]
    assert sealing.write([{**group({**delete("secret/pam")}), "if_match": sealing.applied()}])["ok"]
    assert ("", "secret/pam") not in sealing.config()


def test_only_the_current_key_seals(sealing):
    """A write that was sealed before a rotation, and arrives after it, would be by a key that is forgotten."""
    assert said(sealing.write([group(secret("pam", sealed(NEW)))])) == ("precondition_failed", "secret_key_old")
    answers = sealing.write([
        group(secret("pam", sealed(OLD))),
        group(change("seal/keys", keys(NEW))),
        group(secret("late", sealed(OLD))),
        group(secret("next", sealed(NEW)))])
    assert [(a["ok"], a.get("slug")) for a in answers] \
        == [(True, None), (True, None), (False, "secret_key_old"), (True, None)]


def test_a_rotation_is_one_write(sealing):
    made = sealing.write([group(secret("a", sealed())), group(secret("b", sealed()))])
    at = {name: answer["revision"] for name, answer in zip("ab", made)}
    half = group(change("seal/keys", keys(NEW)), secret("a", sealed(NEW), at["a"]), secret("b", sealed(OLD), at["b"]))
    assert said(sealing.write([half])) == ("precondition_failed", "secret_key_old")
    assert sealing.config()[("", "seal/keys")]["current"] == OLD
    whole = group(*[secret(name, sealed(NEW), at[name]) for name in "ab"], change("seal/keys", keys(NEW)))
    assert sealing.write([whole])["ok"]
    assert {value["key"] for (_, key), value in sealing.config().items() if key.startswith("secret/")} == {NEW}


def test_before_the_first_key_nothing_is_sealed(primary):
    assert said(primary.write([group(secret("pam", sealed()))])) == ("precondition_failed", "secret_key_old")
    assert primary.write([group({**change("seal/keys", keys()), "if_match": 0}, secret("pam", sealed()))])["ok"]


def test_a_rollback_leaves_secrets_alone(sealing):
    first = sealing.write([group(secret("pam", sealed()), change("app/x", 1))])["revision"]
    at = sealing.own("select revision from shared.config where key = 'secret/pam'")[0][0]
    assert sealing.write([group(secret("pam", sealed(size=50), at), change("app/x", 2))])["ok"]
    changes = sealing.value("rollback_changes", first, "")
    assert [(c["key"], c["value"]) for c in changes] == [("app/x", 1)]


def test_local_settings_hold_no_secret(sealing):
    assert error_of(sealing.run, "local_set", "secret/pam", sealed(), "me")[:2] == ("BT005", "key_scope")
