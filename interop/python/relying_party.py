"""A relying party on authlib, joserfc and httpx. What authlib leaves to its users (discovery, the issuer of an answer, pushed
requests, DPoP) is written here as its users would."""

import hashlib
import time
import uuid
from base64 import urlsafe_b64encode

import httpx
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from browser import Browser

SCOPE = "openid profile email"


class Refused(Exception):
    """The server, or the relying party itself, has refused. `error` is the code."""

    def __init__(self, error, description=""):
        super().__init__(f"{error}: {description}")
        self.error = error


def refusal(call, *arguments, **named):
    """The error by which a call is refused."""
    try:
        call(*arguments, **named)
    except Exception as error:
        return getattr(error, "error", None) or str(error)
    raise AssertionError("it was not refused")


def told(response, status=200):
    """The body of an answer."""
    body = response.json() if response.content else {}
    if response.status_code != status:
        raise Refused(body.get("error", response.status_code), response.text)
    return body


class RelyingParty:
    def __init__(self, facts, name, **changed):
        self.facts, self.client = facts, {**facts["clients"][name], **changed}
        self.id, self.redirect_uri = self.client["client_id"], self.client["redirect_uri"]
        # Nothing here is sent by TLS, and reading the authorities takes longer than all the rest.
        self.http = httpx.Client(timeout=10, verify=False)
        self.server = told(self.http.get(facts["issuer"] + "/.well-known/openid-configuration"))
        assert self.server["issuer"] == facts["issuer"]
        self.keys = KeySet.import_key_set(told(self.http.get(self.server["jwks_uri"])))
        self.key = ECKey.import_key(facts["private_key"])
        self.oauth = OAuth2Client(
            self.id,
            self.client["secret"],
            scope=SCOPE,
            redirect_uri=self.redirect_uri,
            token_endpoint_auth_method=self.client["method"],
            code_challenge_method="S256",
            timeout=10,
            verify=False,
        )
        token_endpoint = self.server["token_endpoint"]
        if self.client["method"] == "client_secret_jwt":
            self.oauth.register_client_auth_method(ClientSecretJWT(token_endpoint))
        if self.client["method"] == "private_key_jwt":
            self.oauth.client_secret = self.key
            method = PrivateKeyJWT(token_endpoint, headers={"kid": self.key.kid}, alg="ES256")
            self.oauth.register_client_auth_method(method)

    def request(self, **more):
        """The address of an authorization request, and what its answer must fit."""
        expected = {"nonce": generate_token(), "verifier": generate_token(48)}
        more = {"nonce": expected["nonce"], **more}
        url, expected["state"] = self.oauth.create_authorization_url(
            self.server["authorization_endpoint"], code_verifier=expected["verifier"], **more
        )
        return url, expected

    def sign_in(self, browser=None, **more):
        """The whole code flow: request, sign-on, answer, tokens."""
        browser = browser or Browser(self.facts)
        url, expected = self.request(**more)
        return self.finish(browser, browser.sign_on(url).url, expected, more.get("max_age"))

    def finish(self, browser, answer, expected, max_age=None):
        tokens = self.redeem(answer, expected)
        claims = self.claims(tokens, expected["nonce"], max_age)
        return Signed(browser, answer, expected, tokens, claims)

    def redeem(self, answer, expected):
        # RFC 9207: authlib does not look at it.
        iss = httpx.URL(answer).params.get("iss")
        if iss != self.facts["issuer"]:
            raise Refused("mix_up", f"the answer is of {iss}")
        return self.oauth.fetch_token(
            self.server["token_endpoint"],
            authorization_response=answer,
            state=expected["state"],
            code_verifier=expected["verifier"],
        )

    def claims(self, tokens, nonce=None, max_age=None, kind=CodeIDToken):
        """The claims of a valid ID token (OIDC Core, section 3.1.3.7)."""
        algorithm = self.client["id_token_algorithm"]
        token = jwt.decode(tokens["id_token"], self.keys, algorithms=[algorithm])
        must = {"iss": self.facts["issuer"], "aud": self.id}
        options = {name: {"essential": True, "value": value} for name, value in must.items()}
        if nonce:
            options["nonce"] = {"essential": True, "value": nonce}
        hashed = {name: tokens[name] for name in ("access_token", "code") if name in tokens}
        params = {"client_id": self.id, "nonce": nonce, **hashed}
        if max_age is not None:
            params["max_age"] = int(max_age)
        claims = kind(token.claims, token.header, options, params)
        claims.validate(leeway=10)
        assert claims["auth_time"] <= claims["iat"] <= claims["exp"]
        return claims

    def refresh(self, refresh_token):
        return self.oauth.refresh_token(self.server["token_endpoint"], refresh_token=refresh_token)

    def introspect(self, token):
        endpoint = self.server["introspection_endpoint"]
        return told(self.oauth.introspect_token(endpoint, token=token))

    def revoke(self, token):
        return told(self.oauth.revoke_token(self.server["revocation_endpoint"], token=token))

    def user_info(self, token, method="GET"):
        authorization = {"authorization": f"Bearer {token}"}
        endpoint = self.server["userinfo_endpoint"]
        response = self.http.request(method, endpoint, headers=authorization)
        if response.status_code == 401:
            raise Refused("invalid_token", response.headers["www-authenticate"])
        return told(response)

    def post(self, endpoint, form, **headers):
        """Sends a form as a client, with its authentication."""
        auth = self.oauth.client_auth(self.client["method"])
        return self.oauth.session.post(self.server[endpoint], data=form, auth=auth, headers=headers)

    def prove(self, dpop, endpoint, form):
        """The same with a DPoP proof."""
        url = self.server[endpoint]
        return dpop.send(lambda: self.post(endpoint, form, dpop=dpop.proof("POST", url)))

    def short(self, **members):
        """The address of an authorization request whose members are elsewhere."""
        members = {"client_id": self.id, **members}
        return str(httpx.URL(self.server["authorization_endpoint"], params=members))

    def sign(self, claims, typ):
        header = {"alg": "ES256", "kid": self.key.kid, "typ": typ}
        return jwt.encode(header, claims, self.key)


class Dpop:
    """A key, and the proofs by it (RFC 9449)."""

    def __init__(self):
        self.key, self.nonce = ECKey.generate_key("P-256"), None

    def proof(self, method, url, token=None):
        jwk = self.key.as_dict(private=False)
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": str(uuid.uuid4())}
        if token:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self.nonce:
            claims["nonce"] = self.nonce
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": {m: jwk[m] for m in ("kty", "crv", "x", "y")}}
        return jwt.encode(header, claims, self.key)

    def send(self, call):
        """Sends a request, and again with the nonce that the server wants to see."""
        response = call()
        if "dpop-nonce" in response.headers:
            self.nonce = response.headers["dpop-nonce"]
        if response.status_code in (400, 401) and "use_dpop_nonce" in (
            response.text + response.headers.get("www-authenticate", "")
        ):
            response = call()
        return response


class Signed:
    """What a sign-on has brought."""

    def __init__(self, browser, answer, expected, tokens, claims):
        self.browser, self.answer, self.expected = browser, answer, expected
        self.tokens, self.claims = tokens, claims
