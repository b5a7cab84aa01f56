"""Logging in: the first admin, lockout, sessions, CSRF, tokens, and who is answered at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from blemish.station.database.base import utc_now
from blemish.station.database.people import SessionRow, TokenRow
from blemish.station.server import passwords
from tests.station.server.station_builders import PASSWORD, Bench


def test_first_admin_is_made_once_by_the_code(bench: Bench) -> None:
    client = bench.anonymous()
    assert client.get("/health").json()["needs_setup"] is True
    body = {"code": "AAAA-AAAA-AAAA", "name": "eve", "password": PASSWORD}
    assert client.post("/setup", json=body).status_code == 403
    code = bench.station.setup_code
    assert client.post("/setup", json={**body, "code": code, "name": "anna"}).json()["role"] == "admin"
    again = client.post("/setup", json={**body, "code": code})
    assert again.status_code == 403
    assert client.get("/health").json()["needs_setup"] is False


def test_only_this_computer_is_answered_until_there_is_an_admin(bench: Bench) -> None:
    far = bench.anonymous("192.168.1.7")
    assert far.get("/health").status_code == 403
    assert "Only this computer" in far.get("/health").json()["error"]
    assert bench.admin
    assert far.get("/health").status_code == 200


def test_five_failures_lock_and_the_right_password_does_not_help(bench: Bench) -> None:
    assert bench.viewer
    client = bench.anonymous()
    for _ in range(5):
        assert client.post("/login", json={"name": "viewer", "password": "wrong"}).status_code == 401
    answer = client.post("/login", json={"name": "viewer", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
    bench.station.write(lambda session: session.execute(text("UPDATE site_user SET locked_until = NULL")))
    assert client.post("/login", json={"name": "viewer", "password": PASSWORD}).status_code == 200


def test_unknown_user_and_wrong_password_look_the_same(bench: Bench) -> None:
    assert bench.admin
    client = bench.anonymous()
    wrong = client.post("/login", json={"name": "admin", "password": "x"}).json()["error"]
    assert client.post("/login", json={"name": "nobody", "password": "x"}).json()["error"] == wrong


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(bench: Bench) -> None:
    assert bench.viewer
    answer = bench.anonymous().post("/login", json={"name": "viewer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    with bench.station.database.reading() as session:
        secrets = session.execute(text("SELECT secret_hash FROM session")).scalars().all()
    assert answer.cookies["blemish_session"] not in secrets, "the database holds its hash alone"


def test_change_needs_the_csrf_header(bench: Bench) -> None:
    admin = bench.admin
    token = admin.headers.pop("X-CSRF-Token")
    assert admin.get("/users").status_code == 200
    body = {"name": "press"}
    assert admin.post("/lines", json=body).status_code == 403
    assert admin.post("/lines", json=body, headers={"X-CSRF-Token": "x"}).status_code == 403
    assert admin.post("/lines", json=body, headers={"X-CSRF-Token": token}).status_code == 201


def test_page_of_another_site_is_refused(bench: Bench) -> None:
    headers = {"Origin": "https://evil.example"}
    body = {"name": "admin", "password": PASSWORD}
    assert bench.admin
    assert bench.anonymous().post("/login", json=body, headers=headers).status_code == 403
    assert (
        bench.anonymous().post("/login", json=body, headers={"Origin": "http://testserver"}).status_code
        == 200
    )


def test_session_ends_by_time_by_logout_and_with_the_user(bench: Bench) -> None:
    viewer = bench.viewer
    past = utc_now() - timedelta(seconds=1)

    def expire(session: object) -> None:
        session.query(SessionRow).update({"expires_at": past})  # type: ignore[attr-defined]

    bench.station.write(expire)
    assert viewer.get("/me").status_code == 401
    admin = bench.anonymous()
    csrf = admin.post("/login", json={"name": "admin", "password": PASSWORD}).json()["csrf"]
    admin.headers["X-CSRF-Token"] = csrf
    assert admin.get("/me").json()["name"] == "admin"
    assert admin.post("/logout").status_code == 204
    assert admin.get("/me").status_code == 401


def test_change_of_a_user_ends_their_sessions_and_one_admin_stays(bench: Bench) -> None:
    viewer = bench.viewer
    users = {each["name"]: each["id"] for each in bench.admin.get("/users").json()["items"]}
    assert bench.admin.patch(f"/users/{users['viewer']}", json={"role": "operator"}).status_code == 200
    assert viewer.get("/me").status_code == 401
    last = bench.admin.patch(f"/users/{users['admin']}", json={"active": False})
    assert (last.status_code, last.json()["error"]) == (
        409,
        "One active admin must stay. Make another one first.",
    )


def test_token_works_for_its_role_and_line_until_revoked(bench: Bench) -> None:
    press, lathe = bench.add_line("press"), bench.add_line("lathe")
    body = {"name": "plc", "role": "operator", "line_id": press}
    made = bench.admin.post("/tokens", json=body).json()
    machine = bench.anonymous()
    machine.headers["Authorization"] = f"Bearer {made['secret']}"
    assert machine.get("/me").json() == {"name": "token plc", "role": "operator", "csrf": ""}
    assert machine.post(f"/lines/{press}/hold").status_code == 200, "no CSRF header is asked of a token"
    assert machine.post(f"/lines/{lathe}/hold").status_code == 403
    assert machine.get("/users").status_code == 403
    listed = bench.admin.get("/tokens").json()["items"][0]
    assert "secret" not in listed and listed["last_used"]
    assert bench.admin.delete(f"/tokens/{made['id']}").status_code == 204
    assert machine.get("/me").status_code == 401


def test_token_ends_at_its_time_and_has_never_more_than_its_maker(bench: Bench) -> None:
    made = bench.admin.post("/tokens", json={"name": "a", "role": "admin", "days": 1}).json()
    machine = bench.anonymous()
    machine.headers["Authorization"] = f"Bearer {made['secret']}"
    assert machine.get("/users").status_code == 200
    bench.station.write(lambda session: session.execute(text("UPDATE site_user SET role = 'viewer'")))
    assert machine.get("/users").status_code == 403
    past = utc_now() - timedelta(seconds=1)
    bench.station.write(lambda session: session.query(TokenRow).update({"expires_at": past}))
    assert machine.get("/me").status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "short"),
        ("name", "a b"),
        ("name", "x" * 65),
        ("name", "<b>"),
        ("role", "root"),
        ("name", "a\u202eb"),
    ],
)
def test_bad_user_is_one_line_that_names_the_field(bench: Bench, field: str, value: str) -> None:
    body = {"name": "bob", "password": PASSWORD, "role": "viewer", field: value}
    answer = bench.admin.post("/users", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{field}: ") and "\n" not in answer.json()["error"]
    assert value not in answer.text or field != "password", "a password is never repeated"


def test_passwords_are_argon2id_with_the_library_s_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    stored = passwords.hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.is_password(stored, PASSWORD)
    assert not passwords.is_password(stored, PASSWORD + "x")
    assert not passwords.is_password(None, PASSWORD)


def test_every_answer_has_the_policy_and_large_bodies_are_refused(bench: Bench) -> None:
    for path in ("/health", "/nowhere", "/me"):
        headers = bench.anonymous().get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    answer = bench.admin.post(
        "/classes", json={"name": "x", "colour": "#000000", "definition": "y" * (2 << 20)}
    )
    assert answer.status_code == 413


def test_nothing_secret_is_in_the_audit_trail(bench: Bench) -> None:
    secret = bench.admin.post("/tokens", json={"name": "plc", "role": "viewer"}).json()["secret"]
    assert bench.operator
    with bench.station.database.reading() as session:
        rows = "".join(str(row) for row in session.execute(text("SELECT * FROM audit")))
    for word in (
        secret,
        PASSWORD,
        "argon2",
        "password_hash",
        "secret_hash",
        bench.admin.headers["X-CSRF-Token"],
    ):
        assert word not in rows
