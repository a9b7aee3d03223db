//! `/{environment}/as`: the OpenID provider.

mod assertion;
mod authorize;
mod claims;
mod client_credentials;
mod conformance;
mod device_grant;
mod discovery;
mod dpop;
mod front_channel;
mod id_token;
mod introspect;
mod logout;
mod par;
mod refresh;
mod refusals;
mod resources;
mod revoke;
mod session;
mod sign_off;
mod token;
mod user_info;
