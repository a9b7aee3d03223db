//! Expressions: what an attribute mapping says of a user, a fixed text with references such as `${user.name.given}` in it.

use countersign_protocol::time::Timestamp;

use crate::user::User;

/// A text that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression<'a>(Vec<Part<'a>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    User(Path),
}

/// What can be said of a user, by its name in expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Id,
    Username,
    Email,
    GivenName,
    FamilyName,
    FormattedName,
    Nickname,
    Title,
    Kind,
    Locale,
    PreferredLanguage,
    Timezone,
    PrimaryPhone,
    MobilePhone,
    ExternalId,
    Population,
    Environment,
    CreatedAt,
    UpdatedAt,
}

impl Path {
    const ALL: [Self; 19] = [
        Self::Id,
        Self::Username,
        Self::Email,
        Self::GivenName,
        Self::FamilyName,
        Self::FormattedName,
        Self::Nickname,
        Self::Title,
        Self::Kind,
        Self::Locale,
        Self::PreferredLanguage,
        Self::Timezone,
        Self::PrimaryPhone,
        Self::MobilePhone,
        Self::ExternalId,
        Self::Population,
        Self::Environment,
        Self::CreatedAt,
        Self::UpdatedAt,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Id => "user.id",
            Self::Username => "user.username",
            Self::Email => "user.email",
            Self::GivenName => "user.name.given",
            Self::FamilyName => "user.name.family",
            Self::FormattedName => "user.name.formatted",
            Self::Nickname => "user.nickname",
            Self::Title => "user.title",
            Self::Kind => "user.type",
            Self::Locale => "user.locale",
            Self::PreferredLanguage => "user.preferredLanguage",
            Self::Timezone => "user.timezone",
            Self::PrimaryPhone => "user.primaryPhone",
            Self::MobilePhone => "user.mobilePhone",
            Self::ExternalId => "user.externalId",
            Self::Population => "user.population.id",
            Self::Environment => "user.environment.id",
            Self::CreatedAt => "user.createdAt",
            Self::UpdatedAt => "user.updatedAt",
        }
    }

    fn of(self, user: &User) -> Option<String> {
        match self {
            Self::Id => Some(user.id.to_string()),
            Self::Username => Some(user.username.clone()),
            Self::Email => Some(user.email.clone()),
            Self::GivenName => user.name.given.clone(),
            Self::FamilyName => user.name.family.clone(),
            Self::FormattedName => user.name.whole(),
            Self::Nickname => user.profile.texts.nickname.clone(),
            Self::Title => user.profile.texts.title.clone(),
            Self::Kind => user.profile.texts.kind.clone(),
            Self::Locale => user.profile.texts.locale.clone(),
            Self::PreferredLanguage => user.profile.texts.preferred_language.clone(),
            Self::Timezone => user.profile.texts.timezone.clone(),
            Self::PrimaryPhone => user.profile.texts.primary_phone.clone(),
            Self::MobilePhone => user.profile.texts.mobile_phone.clone(),
            Self::ExternalId => user.profile.texts.external_id.clone(),
            Self::Population => Some(user.population.to_string()),
            Self::Environment => Some(user.environment.to_string()),
            Self::CreatedAt => Some(Timestamp::to_rfc3339_millis(user.created_at)),
            Self::UpdatedAt => Some(Timestamp::to_rfc3339_millis(user.updated_at)),
        }
    }
}

/// Why a text is no expression: a reference that does not end, or to something that users do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnExpression;

/// What an expression must be, in words.
pub const FORM: &str = "text with references among ${user.id}, ${user.username}, ${user.email}, ${user.name.given}, ${user.name.family}, ${user.name.formatted}, ${user.nickname}, ${user.title}, ${user.type}, ${user.locale}, ${user.preferredLanguage}, ${user.timezone}, ${user.primaryPhone}, ${user.mobilePhone}, ${user.externalId}, ${user.population.id}, ${user.environment.id}, ${user.createdAt} and ${user.updatedAt}";

impl<'a> Expression<'a> {
    /// Reads a text. A `$` without a brace after it stands for itself.
    pub fn parse(text: &'a str) -> Result<Self, NotAnExpression> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').ok_or(NotAnExpression)?;
            let path = Path::ALL.into_iter().find(|path| path.name() == name);
            parts.extend((!before.is_empty()).then_some(Part::Text(before)));
            parts.push(Part::User(path.ok_or(NotAnExpression)?));
            rest = behind;
        }
        parts.extend((!rest.is_empty()).then_some(Part::Text(rest)));
        Ok(Self(parts))
    }

    /// What it says of a user; nothing if all its references are empty, since then only decoration is left.
    #[must_use]
    pub fn evaluate(&self, user: &User) -> Option<String> {
        let (mut said, mut refers, mut found) = (String::new(), false, false);
        for part in &self.0 {
            match part {
                Part::Text(text) => said.push_str(text),
                Part::User(path) => {
                    let value = path.of(user).filter(|value| !value.is_empty());
                    (refers, found) = (true, found || value.is_some());
                    said.push_str(&value.unwrap_or_default());
                }
            }
        }
        (!said.is_empty() && (found || !refers)).then_some(said)
    }

    /// What it says where there is no user: the text, if it refers to nothing.
    #[must_use]
    pub fn fixed(&self) -> Option<String> {
        let text = |part: &Part<'a>| match part {
            Part::Text(text) => Some(*text),
            Part::User(_) => None,
        };
        let said = self.0.iter().map(text).collect::<Option<String>>();
        said.filter(|said| !said.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::user, user::Name};

    fn said(text: &str, user: &User) -> Option<String> {
        Expression::parse(text).unwrap().evaluate(user)
    }

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        let name = Name {
            given: Some("Ann".to_owned()),
            family: Some("Lee".to_owned()),
            ..Name::default()
        };
        let ann = User { name, ..user() };
        let table = [
            ("fixed", Some("fixed")),
            ("${user.name.given}", Some("Ann")),
            ("${user.name.given}${user.name.family}", Some("AnnLee")),
            ("Dr. ${user.name.given} ${user.name.family}!", Some("Dr. Ann Lee!")),
            ("${user.name.formatted}", Some("Ann Lee")),
            ("$5 {x} $} }", Some("$5 {x} $} }")),
            ("$${user.name.given}}", Some("$Ann}")),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(said(text, &ann).as_deref(), expected, "{text}");
        }
        for path in Path::ALL {
            assert!(FORM.contains(&format!("${{{}}}", path.name())), "{path:?}");
            assert_eq!(said(&format!("${{{}}}", path.name()), &ann), path.of(&ann));
        }
    }

    #[test]
    fn what_a_user_does_not_have_says_nothing() {
        let nameless = User { name: Name::default(), ..user() };
        assert_eq!(said("${user.name.given}", &nameless), None);
        assert_eq!(said("Dr. ${user.name.given} ${user.name.family}", &nameless), None);
        let part = said("${user.name.given}${user.email}", &nameless);
        assert_eq!(part, Some(nameless.email.clone()));
    }

    #[test]
    fn what_a_user_says_is_not_read_again() {
        let name = Name { given: Some("${user.email}".to_owned()), ..Name::default() };
        let mischief = User { name, ..user() };
        assert_eq!(said("${user.name.given}", &mischief).as_deref(), Some("${user.email}"));
    }

    #[test]
    fn unknown_and_open_references_are_no_expressions() {
        for text in [
            "${user.password}",
            "${user.name}",
            "${USER.id}",
            "${ user.id }",
            "${}",
            "${user.id",
            "${user.id${user.id}}",
            "x ${user.name.given + 'x'}",
        ] {
            assert_eq!(Expression::parse(text), Err(NotAnExpression), "{text}");
        }
    }
}
