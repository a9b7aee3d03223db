//! `/{environment}/as`: the OpenID provider.

mod authorize;
mod discovery;
mod id_token;
mod refusals;
mod token;
mod user_info;
