// What a relying party does, by openid-client and the libraries below it. A new check is a new member of `checks`; its name
// is one of the list in crates/cli/tests/interop, which every language must pass whole.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import {
  calculateJwkThumbprint,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  importJWK,
  jwtVerify,
} from "jose";
import * as oidc from "openid-client";
import { Browser, formOf } from "./browser.js";

const SCOPE = "openid profile email";

const METHODS = {
  none: () => oidc.None(),
  client_secret_basic: (client) => oidc.ClientSecretBasic(client.secret),
  client_secret_post: (client) => oidc.ClientSecretPost(client.secret),
  client_secret_jwt: (client) => oidc.ClientSecretJwt(client.secret),
  private_key_jwt: (_, key) => oidc.PrivateKeyJwt(key),
};

async function signingKey(facts) {
  return { key: await importJWK(facts.private_key, "ES256"), kid: facts.private_key.kid };
}

/// What the library knows of a client of the facts, by discovery.
async function configure(facts, name) {
  const client = facts.clients[name];
  const metadata = { id_token_signed_response_alg: client.id_token_algorithm, use_mtls_endpoint_aliases: false };
  const method = METHODS[client.method](client, await signingKey(facts));
  const options = { execute: [oidc.allowInsecureRequests], timeout: 10 };
  const config = await oidc.discovery(new URL(facts.issuer), client.client_id, metadata, method, options);
  return { client, config };
}

/// An authorization request that is new in all that must be.
async function newRequest(client, more = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const parameters = {
    redirect_uri: client.redirect_uri,
    scope: SCOPE,
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  };
  const expected = {
    pkceCodeVerifier: verifier,
    expectedState: parameters.state,
    expectedNonce: parameters.nonce,
    idTokenExpected: true,
  };
  return { parameters, expected };
}

/// The whole code flow of a client: request, sign-on, answer, tokens. `how` changes the steps that a check is about.
async function signIn(facts, name, how = {}) {
  const { client, config } = await configure(facts, name);
  how.prepare?.(config);
  const browser = how.browser ?? new Browser(facts);
  const { parameters, expected } = await newRequest(client, how.parameters);
  const build = how.build ?? oidc.buildAuthorizationUrl;
  const end = await browser.signOn(await build(config, parameters));
  const answer = how.answer ? how.answer(end) : end.url;
  assert(end.left || how.answer, `the browser stays at ${end.url}: ${end.html}`);
  const checks = { ...expected, ...how.expected };
  const tokens = await oidc.authorizationCodeGrant(config, answer, checks, undefined, how.options);
  return { browser, client, config, answer, checks, tokens };
}

/// The error by which the server refuses.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.error ?? error.cause?.error ?? error.code ?? error.message;
  }
  throw new Error("it was not refused");
}

async function provesItself(facts, name) {
  const { config, tokens } = await signIn(facts, name);
  const { active, username } = await oidc.tokenIntrospection(config, tokens.access_token);
  assert.deepEqual([active, username], [true, facts.username]);
  const client = facts.clients[name];
  if (client.secret) {
    const broken = await configure({ ...facts, clients: { [name]: { ...client, secret: "wrong" } } }, name);
    // By HTTP Basic, the library tells of the challenge instead of the code beside it.
    const told = await refusal(oidc.tokenIntrospection(broken.config, tokens.access_token));
    assert.match(told, /^(invalid_client|OAUTH_WWW_AUTHENTICATE_CHALLENGE)$/);
  }
}

export const checks = {
  async "discovery"(facts) {
    const { config } = await configure(facts, "site");
    const server = config.serverMetadata();
    assert.equal(server.issuer, facts.issuer);
    assert(server.supportsPKCE("S256"));
    assert.equal(server.authorization_response_iss_parameter_supported, true);
    const options = { execute: [oidc.allowInsecureRequests], algorithm: "oauth2" };
    const plain = await oidc.discovery(new URL(facts.issuer), "any", undefined, undefined, options);
    assert.deepEqual({ ...plain.serverMetadata() }, { ...server });
  },

  async "code flow with an ES256 ID token"(facts) {
    const { client, tokens, checks } = await signIn(facts, "site");
    assert.equal(decodeProtectedHeader(tokens.id_token).alg, "ES256");
    const claims = tokens.claims();
    assert.equal(claims.aud, client.client_id);
    assert.equal(claims.nonce, checks.expectedNonce);
    assert.equal(tokens.token_type, "bearer");
  },

  async "code flow with an RS256 ID token"(facts) {
    const { tokens } = await signIn(facts, "native");
    assert.equal(decodeProtectedHeader(tokens.id_token).alg, "RS256");
  },

  async "answer by form post"(facts) {
    const answer = (page) => {
      const { action, fields } = formOf(page);
      assert.equal(action, facts.clients.site.redirect_uri);
      return new Request(action, { method: "POST", body: new URLSearchParams(fields) });
    };
    await signIn(facts, "site", { parameters: { response_mode: "form_post" }, answer });
  },

  async "hybrid flow"(facts) {
    const { answer, tokens } = await signIn(facts, "front", { prepare: oidc.useCodeIdTokenResponseType });
    const members = new URLSearchParams(answer.hash.slice(1));
    assert.equal(decodeJwt(members.get("id_token")).sub, tokens.claims().sub);
    assert.equal(answer.search, "");
  },

  async "implicit flow"(facts) {
    const { client, config } = await configure(facts, "front");
    oidc.useIdTokenResponseType(config);
    const { parameters, expected } = await newRequest(client);
    const { expectedState, expectedNonce } = expected;
    const { url } = await new Browser(facts).signOn(oidc.buildAuthorizationUrl(config, parameters));
    const claims = await oidc.implicitAuthentication(config, url, expectedNonce, { expectedState });
    assert.equal(claims.aud, client.client_id);
    await refusal(oidc.implicitAuthentication(config, url, "another", { expectedState }));
    const other = await configure(facts, "site");
    oidc.useIdTokenResponseType(other.config);
    const asked = oidc.buildAuthorizationUrl(other.config, (await newRequest(other.client)).parameters);
    const refused = new URLSearchParams((await new Browser(facts).open(asked)).url.hash.slice(1));
    assert.equal(refused.get("error"), "unauthorized_client");
  },

  async "client_secret_basic"(facts) {
    await provesItself(facts, "client_secret_basic");
  },

  async "client_secret_post"(facts) {
    await provesItself(facts, "client_secret_post");
  },

  async "client_secret_jwt"(facts) {
    await provesItself(facts, "client_secret_jwt");
  },

  async "private_key_jwt"(facts) {
    await provesItself(facts, "private_key_jwt");
  },

  async "userinfo"(facts) {
    const { config, tokens } = await signIn(facts, "site");
    const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(told.preferred_username, facts.username);
    assert.equal(told.email, facts.email);
  },

  async "refresh with rotation"(facts) {
    const { config, tokens } = await signIn(facts, "site");
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(next.refresh_token, tokens.refresh_token);
    assert.equal(next.claims().sub, tokens.claims().sub);
    assert.equal(next.claims().auth_time, tokens.claims().auth_time);
    assert.equal(await refusal(oidc.refreshTokenGrant(config, tokens.refresh_token)), "invalid_grant");
    assert.equal(await refusal(oidc.refreshTokenGrant(config, next.refresh_token)), "invalid_grant");
  },

  async "pushed authorization request"(facts) {
    const { client, config } = await configure(facts, "pushing");
    const { parameters } = await newRequest(client);
    const plain = await new Browser(facts).open(oidc.buildAuthorizationUrl(config, parameters));
    assert.deepEqual([plain.left, plain.status], [false, 400]);
    await signIn(facts, "pushing", { build: oidc.buildAuthorizationUrlWithPAR });
  },

  async "signed request object"(facts) {
    const key = await signingKey(facts);
    const build = (config, parameters) => oidc.buildAuthorizationUrlWithJAR(config, parameters, key);
    await signIn(facts, "signing", { build });
    const { client, config } = await configure(facts, "signing");
    const { parameters } = await newRequest(client);
    const plain = await new Browser(facts).open(oidc.buildAuthorizationUrl(config, parameters));
    assert.equal(plain.url.searchParams.get("error"), "invalid_request");
  },

  async "DPoP with a nonce of the server"(facts) {
    const keys = await oidc.randomDPoPKeyPair("ES256", { extractable: true });
    const { config: known } = await configure(facts, "bound");
    const options = { DPoP: oidc.getDPoPHandle(known, keys) };
    const { config, tokens } = await signIn(facts, "bound", { options });
    assert.equal(tokens.token_type, "dpop");
    const thumbprint = await calculateJwkThumbprint(await exportJWK(keys.publicKey));
    assert.equal(decodeJwt(tokens.access_token).cnf.jkt, thumbprint);
    const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, options);
    assert.equal(told.preferred_username, facts.username);
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
    assert.equal(next.token_type, "dpop");
    const thief = { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256")) };
    const stolen = oidc.refreshTokenGrant(config, next.refresh_token, undefined, thief);
    assert.equal(await refusal(stolen), "invalid_grant");
    await refusal(oidc.fetchUserInfo(config, next.access_token, tokens.claims().sub));
  },

  async "FAPI 2.0 Security Profile"(facts) {
    const { config: known } = await configure(facts, "fapi");
    const options = { DPoP: oidc.getDPoPHandle(known, await oidc.randomDPoPKeyPair("ES256")) };
    const build = (config, parameters) => oidc.buildAuthorizationUrlWithPAR(config, parameters, options);
    const { config, tokens, answer, checks } = await signIn(facts, "fapi", { build, options });
    assert.equal(tokens.token_type, "dpop");
    const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, options);
    assert.equal(told.preferred_username, facts.username);
    await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
    const again = oidc.authorizationCodeGrant(config, answer, checks, undefined, options);
    assert.equal(await refusal(again), "invalid_grant");
  },

  async "client credentials"(facts) {
    const { client, config } = await configure(facts, "worker");
    const tokens = await oidc.clientCredentialsGrant(config);
    assert.equal(decodeJwt(tokens.access_token).sub, client.client_id);
    assert.equal(tokens.id_token, undefined);
  },

  async "device authorization"(facts) {
    const { config } = await configure(facts, "device");
    const started = await oidc.initiateDeviceAuthorization(config, { scope: SCOPE });
    const polling = oidc.pollDeviceAuthorizationGrant(config, started);
    const browser = new Browser(facts);
    const asked = await browser.open(started.verification_uri_complete);
    const user_code = started.user_code;
    const login = await browser.submit(asked, { action: "verify", user_code });
    const { username, password } = facts;
    const consent = await browser.submit(login, { action: "login", username, password });
    await browser.submit(consent, { action: "allow" });
    const tokens = await polling;
    const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(told.preferred_username, username);
  },

  async "device authorization that is refused"(facts) {
    const { config } = await configure(facts, "device");
    const started = await oidc.initiateDeviceAuthorization(config, { scope: SCOPE });
    const browser = new Browser(facts);
    const asked = await browser.open(started.verification_uri);
    const login = await browser.submit(asked, { action: "verify", user_code: started.user_code });
    const { username, password } = facts;
    const consent = await browser.submit(login, { action: "login", username, password });
    await browser.submit(consent, { action: "refuse" });
    assert.equal(await refusal(oidc.pollDeviceAuthorizationGrant(config, started)), "access_denied");
  },

  async "introspection"(facts) {
    const { tokens, client } = await signIn(facts, "site");
    const { config } = await configure(facts, "worker");
    const told = await oidc.tokenIntrospection(config, tokens.access_token);
    assert.deepEqual([told.active, told.client_id, told.token_type], [true, client.client_id, "Bearer"]);
    assert.deepEqual(await oidc.tokenIntrospection(config, "unknown"), { active: false });
  },

  async "revocation"(facts) {
    const { config, tokens } = await signIn(facts, "site");
    await oidc.tokenRevocation(config, tokens.refresh_token);
    assert.equal(await refusal(oidc.refreshTokenGrant(config, tokens.refresh_token)), "invalid_grant");
    await refusal(oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
    await oidc.tokenRevocation(config, "unknown");
  },

  async "prompt=none with a session and without"(facts) {
    const parameters = { prompt: "none" };
    assert.equal(await refusal(signIn(facts, "site", { parameters })), "login_required");
    const first = await signIn(facts, "site");
    const again = await signIn(facts, "site", { parameters, browser: first.browser });
    assert.equal(again.tokens.claims().sub, first.tokens.claims().sub);
    assert.equal(again.tokens.claims().auth_time, first.tokens.claims().auth_time);
    // Also for another application.
    await signIn(facts, "client_secret_basic", { parameters, browser: first.browser });
  },

  async "max_age"(facts) {
    const age = { parameters: { max_age: "3600" }, expected: { maxAge: 3600 } };
    const first = await signIn(facts, "site", age);
    assert.equal(typeof first.tokens.claims().auth_time, "number");
    const none = { max_age: "0", prompt: "none" };
    const asked = signIn(facts, "site", { parameters: none, browser: first.browser });
    assert.equal(await refusal(asked), "login_required");
  },

  async "prompt=login signs in anew"(facts) {
    const first = await signIn(facts, "site");
    const url = await configure(facts, "site");
    const { parameters } = await newRequest(url.client, { prompt: "login" });
    const page = await first.browser.open(oidc.buildAuthorizationUrl(url.config, parameters));
    assert(page.html.includes('name="password"'), page.html);
  },

  async "sign-off by the application"(facts) {
    const { browser, client, config, tokens } = await signIn(facts, "site");
    const url = oidc.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: client.post_logout_redirect_uri,
      state: "bye",
    });
    const end = await browser.open(url);
    assert.equal(end.url.href, `${client.post_logout_redirect_uri}?state=bye`);
    const silent = signIn(facts, "site", { parameters: { prompt: "none" }, browser });
    assert.equal(await refusal(silent), "login_required");
    assert.equal(await refusal(oidc.refreshTokenGrant(config, tokens.refresh_token)), "invalid_grant");
    url.searchParams.set("post_logout_redirect_uri", "https://evil.example/");
    const foreign = await browser.open(url);
    assert.deepEqual([foreign.left, foreign.status], [false, 400]);
  },

  async "back-channel logout"(facts) {
    const address = new URL(facts.backchannel_logout_uri);
    const receiver = createServer().listen(address.port, address.hostname);
    try {
      const heard = once(receiver, "request", { signal: AbortSignal.timeout(20_000) });
      const { browser, client, config, tokens } = await signIn(facts, "told");
      await browser.open(oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token }));
      const [request, response] = await heard;
      let body = "";
      for await (const chunk of request) body += chunk;
      response.end();
      const token = new URLSearchParams(body).get("logout_token");
      const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
      const expected = { issuer: facts.issuer, audience: client.client_id, typ: "logout+jwt" };
      const { payload } = await jwtVerify(token, keys, expected);
      assert.deepEqual([payload.sub, payload.sid], [tokens.claims().sub, tokens.claims().sid]);
      assert("http://schemas.openid.net/event/backchannel-logout" in payload.events);
      assert.equal(payload.nonce, undefined);
    } finally {
      receiver.closeAllConnections();
      receiver.close();
    }
  },

  async "a wrong nonce is refused"(facts) {
    const wrong = signIn(facts, "site", { expected: { expectedNonce: "another" } });
    assert.match(await refusal(wrong), /OAUTH_JWT_CLAIM_COMPARISON_FAILED|nonce/);
  },

  async "an answer of another issuer is refused"(facts) {
    const answer = ({ url }) => {
      url.searchParams.set("iss", "https://evil.example");
      return url;
    };
    assert.match(await refusal(signIn(facts, "site", { answer })), /OAUTH_INVALID_RESPONSE|iss/);
  },

  async "a code counts once"(facts) {
    const { config, answer, checks, tokens } = await signIn(facts, "site");
    assert.equal(await refusal(oidc.authorizationCodeGrant(config, answer, checks)), "invalid_grant");
    await refusal(oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
    assert.equal(await refusal(oidc.refreshTokenGrant(config, tokens.refresh_token)), "invalid_grant");
  },

  async "a wrong verifier is refused"(facts) {
    const expected = { pkceCodeVerifier: oidc.randomPKCECodeVerifier() };
    assert.equal(await refusal(signIn(facts, "site", { expected })), "invalid_grant");
  },

  async "a wrong redirect_uri is never followed"(facts) {
    const { client, config } = await configure(facts, "site");
    for (const redirect_uri of ["https://evil.example/", `${client.redirect_uri}/`, `${client.redirect_uri}?a=b`]) {
      const { parameters } = await newRequest(client, { redirect_uri });
      const page = await new Browser(facts).open(oidc.buildAuthorizationUrl(config, parameters));
      assert.deepEqual([page.left, page.status], [false, 400]);
    }
  },
};
