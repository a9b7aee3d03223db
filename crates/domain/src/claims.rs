//! Claims about users (OIDC Core, section 5): those of the scopes, and those that an application maps itself.

use serde_json::{Map, Value};

use crate::{
    application::{Application, AttributeMapping, SUBJECT},
    authorization::Scope,
    user::User,
};

/// Claims by name.
pub type Claims = Map<String, Value>;

/// What an ID token says beside the protocol's own claims.
///
/// Where an access token comes with it, or will, the claims of the scopes are told by userinfo alone; a lone ID token has them
/// itself (OIDC Core, section 5.4). Costs nothing for applications that map none.
#[must_use]
pub fn of_id_token(
    application: &Application,
    scopes: &[Scope],
    user: &User,
    is_alone: bool,
) -> Claims {
    let standard = if is_alone { standard(application, scopes, user) } else { Claims::new() };
    mapped(application, scopes, user, |mapping| mapping.id_token).chain(standard).collect()
}

/// What userinfo says beside `sub`.
#[must_use]
pub fn of_user_info(application: &Application, scopes: &[Scope], user: &User) -> Claims {
    let standard = standard(application, scopes, user);
    mapped(application, scopes, user, |mapping| mapping.user_info).chain(standard).collect()
}

/// The place of the first mapping that a user must have a value for and has none.
#[must_use]
pub fn first_missing(required: &[AttributeMapping], user: &User) -> Option<usize> {
    required.iter().position(|mapping| mapping.evaluate(user).is_none())
}

/// The claims of the scopes (OIDC Core, section 5.4), except those in whose place the application has put its own.
fn standard(application: &Application, scopes: &[Scope], user: &User) -> Claims {
    let text = |value: &str| Some(Value::from(value));
    let profile = [
        ("name", user.name.whole().map(Value::from)),
        ("given_name", user.name.given.as_deref().and_then(text)),
        ("family_name", user.name.family.as_deref().and_then(text)),
        ("preferred_username", text(&user.username)),
        ("updated_at", Some(user.updated_at.unix_seconds().into())),
    ];
    let email = [("email", text(&user.email))];
    let of = |scope| scopes.contains(&scope);
    let profile = profile.into_iter().filter(|_| of(Scope::Profile));
    let told = profile.chain(email.into_iter().filter(|_| of(Scope::Email)));
    let own = |name: &str| application.oidc.attributes.iter().any(|own| own.name == name);
    told.filter(|(name, _)| !own(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The application's own claims, where they belong. `sub` may be among them and is what it always is.
fn mapped<'a>(
    application: &'a Application,
    scopes: &'a [Scope],
    user: &'a User,
    belongs: fn(&AttributeMapping) -> bool,
) -> impl Iterator<Item = (String, Value)> + 'a {
    let open = |mapping: &&AttributeMapping| {
        let granted = |name: &String| scopes.iter().any(|scope| scope.name() == name);
        mapping.scopes.is_empty() || mapping.scopes.iter().any(granted)
    };
    let mappings = application.oidc.attributes.iter();
    let mappings = mappings.filter(move |mapping| mapping.name != SUBJECT && belongs(mapping));
    mappings
        .filter(open)
        .filter_map(|mapping| Some((mapping.name.clone(), mapping.evaluate(user)?.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::Id;
    use crate::{fixture, user::Name};

    fn ann() -> User {
        let name = Name { given: Some("Ann".to_owned()), ..Name::default() };
        User { name, ..fixture::user() }
    }

    fn mapping(name: &str, value: &str) -> AttributeMapping {
        AttributeMapping {
            id: Id::from_bytes([1; 16]),
            name: name.to_owned(),
            value: value.to_owned(),
            required: false,
            id_token: true,
            user_info: true,
            scopes: Vec::new(),
        }
    }

    fn application(attributes: Vec<AttributeMapping>) -> Application {
        let mut application = fixture::application();
        application.oidc.attributes = attributes;
        application
    }

    const ALL: [Scope; 5] = Scope::ALL;

    #[test]
    fn the_claims_of_the_scopes_are_told_by_userinfo_and_by_a_lone_id_token() {
        let (plain, ann) = (application(vec![]), ann());
        let told = of_user_info(&plain, &[Scope::OpenId, Scope::Profile], &ann);
        let expected = json!({
            "name": "Ann", "given_name": "Ann", "preferred_username": ann.username,
            "updated_at": ann.updated_at.unix_seconds(),
        });
        assert_eq!(Value::Object(told.clone()), expected);
        assert_eq!(of_id_token(&plain, &[Scope::OpenId, Scope::Profile], &ann, true), told);
        assert_eq!(of_id_token(&plain, &ALL, &ann, false), Claims::new());
        assert_eq!(of_user_info(&plain, &[Scope::OpenId], &ann), Claims::new());
    }

    #[test]
    fn an_own_claim_is_told_where_it_belongs_and_takes_the_place_of_a_standard_one() {
        let ann = ann();
        let nowhere =
            AttributeMapping { id_token: false, user_info: false, ..mapping("name", "x") };
        let in_token = AttributeMapping { user_info: false, ..mapping("email", "a ${user.email}") };
        let application = application(vec![nowhere, in_token, mapping("tier", "gold")]);
        let email = format!("a {}", ann.email);
        let token = of_id_token(&application, &ALL, &ann, false);
        assert_eq!(Value::Object(token), json!({ "email": email, "tier": "gold" }));
        let info = of_user_info(&application, &ALL, &ann);
        assert_eq!(info.get("tier"), Some(&json!("gold")));
        assert_eq!((info.get("email"), info.get("name")), (None, None));
        assert!(info.contains_key("given_name"));
    }

    #[test]
    fn an_own_claim_waits_for_one_of_its_scopes() {
        let scopes = vec!["email".to_owned(), "phone".to_owned()];
        let application = application(vec![AttributeMapping { scopes, ..mapping("tier", "gold") }]);
        let told = |scopes: &[Scope]| of_id_token(&application, scopes, &ann(), false).len();
        assert_eq!(told(&[Scope::OpenId]), 0);
        assert_eq!(told(&[Scope::OpenId, Scope::Phone]), 1);
    }

    #[test]
    fn an_empty_claim_is_left_out_and_a_subject_is_never_another() {
        let (empty, sub) = (mapping("family", "${user.name.family}"), mapping("sub", "x"));
        let application = application(vec![empty.clone(), sub]);
        assert_eq!(of_id_token(&application, &ALL, &ann(), false), Claims::new());
        assert_eq!(first_missing(&[mapping("tier", "gold"), empty], &ann()), Some(1));
        assert_eq!(first_missing(&[mapping("tier", "gold")], &ann()), None);
    }
}
