"""What a relying party does. A new check is a new function under `@check`; its name is one of the list in
crates/cli/tests/interop, which every language must pass whole."""

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import HybridIDToken, ImplicitIDToken
from joserfc import jws, jwt

from browser import Browser
from relying_party import SCOPE, Dpop, RelyingParty, refusal, told

CHECKS = {}


def check(name):
    def register(function):
        CHECKS[name] = function
        return function

    return register


def members_of(url):
    return dict(parse_qsl(urlsplit(url).query))


def algorithm(token):
    return jws.extract_compact(token.encode()).headers()["alg"]


@check("discovery")
def discovery(facts):
    server = RelyingParty(facts, "site").server
    assert "S256" in server["code_challenge_methods_supported"]
    assert server["authorization_response_iss_parameter_supported"] is True


@check("code flow with an ES256 ID token")
def es256(facts):
    signed = RelyingParty(facts, "site").sign_in()
    assert algorithm(signed.tokens["id_token"]) == "ES256"
    assert signed.tokens["token_type"] == "Bearer"


@check("code flow with an RS256 ID token")
def rs256(facts):
    signed = RelyingParty(facts, "native").sign_in()
    assert algorithm(signed.tokens["id_token"]) == "RS256"


@check("answer by form post")
def form_post(facts):
    party, browser = RelyingParty(facts, "site"), Browser(facts)
    url, expected = party.request(response_mode="form_post")
    action, fields = browser.sign_on(url).form()
    assert action == party.redirect_uri
    members = "&".join(f"{name}={value}" for name, value in fields.items())
    party.finish(browser, f"{action}?{members}", expected)


def fragment(page):
    return dict(parse_qsl(urlsplit(page.url).fragment))


@check("hybrid flow")
def hybrid(facts):
    party, browser, verifier = RelyingParty(facts, "front"), Browser(facts), generate_token(48)
    pkce = {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
    url, expected = party.request(response_type="code id_token", **pkce)
    given = fragment(browser.sign_on(url))
    first = party.claims(given, expected["nonce"], kind=HybridIDToken)
    answer = f"{party.redirect_uri}?{urlencode(given)}"
    last = party.finish(browser, answer, {**expected, "verifier": verifier}).claims
    assert first["sub"] == last["sub"]
    bent = {**given, "code": generate_token()}
    assert refusal(party.claims, bent, expected["nonce"], kind=HybridIDToken) == "invalid_claim"


@check("implicit flow")
def implicit(facts):
    party, browser = RelyingParty(facts, "front"), Browser(facts)
    url, expected = party.request(response_type="id_token token")
    given = fragment(browser.sign_on(url))
    assert (given["state"], given["iss"]) == (expected["state"], facts["issuer"])
    claims = party.claims(given, expected["nonce"], kind=ImplicitIDToken)
    assert party.user_info(given["access_token"])["sub"] == claims["sub"]
    bent = {**given, "access_token": generate_token()}
    assert refusal(party.claims, bent, expected["nonce"], kind=ImplicitIDToken) == "invalid_claim"
    url, _ = RelyingParty(facts, "site").request(response_type="id_token")
    assert fragment(browser.open(url))["error"] == "unauthorized_client"


def proves_itself(name):
    def prove(facts):
        party = RelyingParty(facts, name)
        signed = party.sign_in()
        answer = party.introspect(signed.tokens["access_token"])
        assert (answer["active"], answer["username"]) == (True, facts["username"])
        if party.client["secret"]:
            liar = RelyingParty(facts, name, secret="wrong")
            error = refusal(liar.introspect, signed.tokens["access_token"])
            assert error == "invalid_client", error

    return check(name)(prove)


for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"):
    proves_itself(method)


@check("userinfo")
def userinfo(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    for method in ("GET", "POST"):
        answer = party.user_info(signed.tokens["access_token"], method)
        assert answer["sub"] == signed.claims["sub"]
        assert answer["preferred_username"] == facts["username"]
        assert answer["email"] == facts["email"]


@check("refresh with rotation")
def refresh(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    old = signed.tokens["refresh_token"]
    renewed = party.refresh(old)
    assert renewed["refresh_token"] != old
    claims = party.claims(renewed)
    assert (claims["sub"], claims["auth_time"]) == (signed.claims["sub"], signed.claims["auth_time"])
    assert refusal(party.refresh, old) == "invalid_grant"
    assert refusal(party.refresh, renewed["refresh_token"]) == "invalid_grant"


@check("pushed authorization request")
def par(facts):
    party, browser = RelyingParty(facts, "pushing"), Browser(facts)
    url, expected = party.request()
    page = browser.open(url)
    assert (page.left, page.status) == (False, 400)
    form = members_of(url)
    pushed = told(party.post("pushed_authorization_request_endpoint", form), 201)
    short = party.short(request_uri=pushed["request_uri"])
    party.finish(browser, browser.sign_on(short).url, expected)
    assert Browser(facts).open(short).status == 400


@check("signed request object")
def jar(facts):
    party, browser = RelyingParty(facts, "signing"), Browser(facts)
    url, expected = party.request()
    assert browser.open(url).returned("error") == "invalid_request"
    now = int(time.time())
    claims = {"iss": party.id, "aud": facts["issuer"], "iat": now, "exp": now + 60, "jti": generate_token()}
    request = party.sign({**members_of(url), **claims}, "oauth-authz-req+jwt")
    party.finish(browser, browser.sign_on(party.short(request=request)).url, expected)


@check("DPoP with a nonce of the server")
def dpop(facts):
    party, browser, dpop = RelyingParty(facts, "bound"), Browser(facts), Dpop()
    url, expected = party.request()
    code = browser.sign_on(url).returned("code")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": party.redirect_uri}
    form["code_verifier"] = expected["verifier"]

    def redeem(form, dpop):
        return told(party.prove(dpop, "token_endpoint", form))

    tokens = redeem(form, dpop)
    assert tokens["token_type"] == "DPoP"
    sub = party.claims(tokens, expected["nonce"])["sub"]
    token, userinfo = tokens["access_token"], party.server["userinfo_endpoint"]

    def ask():
        headers = {"authorization": f"DPoP {token}", "dpop": dpop.proof("GET", userinfo, token)}
        return party.http.get(userinfo, headers=headers)

    assert told(dpop.send(ask))["sub"] == sub
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert redeem(again, dpop)["token_type"] == "DPoP"
    assert refusal(redeem, again, Dpop()) == "invalid_grant"
    assert refusal(party.user_info, token) == "invalid_token"


@check("FAPI 2.0 Security Profile")
def fapi(facts):
    party, browser, dpop = RelyingParty(facts, "fapi"), Browser(facts), Dpop()
    url, expected = party.request()
    pushed = told(party.prove(dpop, "pushed_authorization_request_endpoint", members_of(url)), 201)
    page = browser.sign_on(party.short(request_uri=pushed["request_uri"]))
    assert page.returned("iss") == facts["issuer"]
    form = {"grant_type": "authorization_code", "code": page.returned("code")}
    form |= {"redirect_uri": party.redirect_uri, "code_verifier": expected["verifier"]}
    tokens = told(party.prove(dpop, "token_endpoint", form))
    assert tokens["token_type"] == "DPoP"
    party.claims(tokens, expected["nonce"])
    renew = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    told(party.prove(dpop, "token_endpoint", renew))
    assert told(party.prove(dpop, "token_endpoint", form), 400)["error"] == "invalid_grant"


@check("client credentials")
def client_credentials(facts):
    party = RelyingParty(facts, "worker")
    # There is nobody whose data a scope could open.
    party.oauth.scope = None
    tokens = party.oauth.fetch_token(party.server["token_endpoint"], grant_type="client_credentials")
    assert "id_token" not in tokens
    assert party.introspect(tokens["access_token"])["sub"] == party.id


DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def start_device(facts):
    party, browser = RelyingParty(facts, "device"), Browser(facts)
    started = told(party.post("device_authorization_endpoint", {"scope": SCOPE}))
    page = browser.open(started["verification_uri"])
    login = browser.submit(page, action="verify", user_code=started["user_code"])
    return party, browser, started, browser.login(login)


def poll(party, started):
    device_code = started["device_code"]
    return party.oauth.fetch_token(party.server["token_endpoint"], grant_type=DEVICE_CODE, device_code=device_code)


@check("device authorization")
def device(facts):
    party, browser, started, consent = start_device(facts)
    assert refusal(poll, party, started) == "authorization_pending"
    browser.submit(consent, action="allow")
    time.sleep(started["interval"])
    tokens = poll(party, started)
    assert party.user_info(tokens["access_token"])["sub"] == party.claims(tokens)["sub"]


@check("device authorization that is refused")
def device_refused(facts):
    party, browser, started, consent = start_device(facts)
    browser.submit(consent, action="refuse")
    assert refusal(poll, party, started) == "access_denied"


@check("introspection")
def introspection(facts):
    site, worker = RelyingParty(facts, "site"), RelyingParty(facts, "worker")
    answer = worker.introspect(site.sign_in().tokens["access_token"])
    assert (answer["active"], answer["client_id"], answer["token_type"]) == (True, site.id, "Bearer")
    assert worker.introspect("unknown") == {"active": False}


@check("revocation")
def revocation(facts):
    party = RelyingParty(facts, "site")
    tokens = party.sign_in().tokens
    party.revoke(tokens["refresh_token"])
    assert refusal(party.refresh, tokens["refresh_token"]) == "invalid_grant"
    assert refusal(party.user_info, tokens["access_token"]) == "invalid_token"
    party.revoke("unknown")


@check("prompt=none with a session and without")
def prompt_none(facts):
    party, browser = RelyingParty(facts, "site"), Browser(facts)
    url, _ = party.request(prompt="none")
    assert browser.open(url).returned("error") == "login_required"
    first = party.sign_in(browser)
    again = party.sign_in(browser, prompt="none")
    assert again.claims["auth_time"] == first.claims["auth_time"]
    RelyingParty(facts, "client_secret_basic").sign_in(browser, prompt="none")


@check("max_age")
def max_age(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in(max_age="3600")
    url, _ = party.request(max_age="0", prompt="none")
    assert signed.browser.open(url).returned("error") == "login_required"


@check("prompt=login signs in anew")
def prompt_login(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    url, _ = party.request(prompt="login")
    assert 'name="password"' in signed.browser.open(url).text


@check("sign-off by the application")
def sign_off(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    leave = f"{party.server['end_session_endpoint']}?id_token_hint={signed.tokens['id_token']}&state=bye"
    back = party.client["post_logout_redirect_uri"]
    assert signed.browser.open(f"{leave}&post_logout_redirect_uri={back}").url == f"{back}?state=bye"
    url, _ = party.request(prompt="none")
    assert signed.browser.open(url).returned("error") == "login_required"
    assert refusal(party.refresh, signed.tokens["refresh_token"]) == "invalid_grant"
    foreign = signed.browser.open(f"{leave}&post_logout_redirect_uri=https://evil.example/")
    assert (foreign.left, foreign.status) == (False, 400)


@check("back-channel logout")
def backchannel_logout(facts):
    heard = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    address = urlsplit(facts["backchannel_logout_uri"])
    with HTTPServer((address.hostname, address.port), Receiver) as receiver:
        receiver.timeout = 20
        party = RelyingParty(facts, "told")
        signed = party.sign_in()
        signed.browser.open(f"{party.server['end_session_endpoint']}?id_token_hint={signed.tokens['id_token']}")
        receiver.handle_request()
    token = jwt.decode(dict(parse_qsl(heard[0]))["logout_token"], party.keys, algorithms=["ES256"])
    claims = token.claims
    assert token.header["typ"] == "logout+jwt"
    assert (claims["iss"], claims["aud"]) == (facts["issuer"], party.id)
    assert (claims["sub"], claims["sid"]) == (signed.claims["sub"], signed.claims["sid"])
    assert "http://schemas.openid.net/event/backchannel-logout" in claims["events"]
    assert "nonce" not in claims


@check("a wrong nonce is refused")
def wrong_nonce(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    error = refusal(party.claims, signed.tokens, "another")
    assert "nonce" in error or error == "invalid_claim", error


@check("an answer of another issuer is refused")
def other_issuer(facts):
    party, browser = RelyingParty(facts, "site"), Browser(facts)
    url, expected = party.request()
    answer = browser.sign_on(url).url.replace("iss=http", "iss=https")
    assert refusal(party.redeem, answer, expected) == "mix_up"


@check("a code counts once")
def reused_code(facts):
    party = RelyingParty(facts, "site")
    signed = party.sign_in()
    assert refusal(party.redeem, signed.answer, signed.expected) == "invalid_grant"
    assert refusal(party.user_info, signed.tokens["access_token"]) == "invalid_token"
    assert refusal(party.refresh, signed.tokens["refresh_token"]) == "invalid_grant"


@check("a wrong verifier is refused")
def wrong_verifier(facts):
    party, browser = RelyingParty(facts, "site"), Browser(facts)
    url, expected = party.request()
    answer = browser.sign_on(url).url
    assert refusal(party.redeem, answer, {**expected, "verifier": generate_token(48)}) == "invalid_grant"


@check("a wrong redirect_uri is never followed")
def wrong_redirect_uri(facts):
    party = RelyingParty(facts, "site")
    for address in ("https://evil.example/", party.redirect_uri + "/", party.redirect_uri + "?a=b"):
        url, _ = party.request(redirect_uri=address)
        page = Browser(facts).open(url)
        assert (page.left, page.status) == (False, 400)
