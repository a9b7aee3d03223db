//! What a visible question says, in the language of the phone. English stands in for languages that are not here.

use serde_json::{Map, Value};

/// A question in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// Title.
    pub title: String,
    /// Text.
    pub message: String,
}

/// The words of a language. `{application}` stands for the name of the application.
struct Language {
    tag: &'static str,
    sign_on: (&'static str, &'static str),
    transaction: (&'static str, &'static str),
    hint: (&'static str, &'static str),
}

const ENGLISH: Language = Language {
    tag: "en",
    sign_on: ("Sign in?", "Somebody signs in to {application}. Is it you?"),
    transaction: ("Approve?", "{application} asks for your approval."),
    hint: ("Is it you?", "Open the app to answer."),
};

const OTHERS: [Language; 4] = [
    Language {
        tag: "de",
        sign_on: ("Anmelden?", "Jemand meldet sich bei {application} an. Sind Sie das?"),
        transaction: ("Zustimmen?", "{application} bittet um Ihre Zustimmung."),
        hint: ("Sind Sie das?", "Öffnen Sie die App, um zu antworten."),
    },
    Language {
        tag: "fr",
        sign_on: ("Se connecter ?", "Quelqu’un se connecte à {application}. Est-ce vous ?"),
        transaction: ("Approuver ?", "{application} demande votre accord."),
        hint: ("Est-ce vous ?", "Ouvrez l’application pour répondre."),
    },
    Language {
        tag: "es",
        sign_on: ("¿Iniciar sesión?", "Alguien inicia sesión en {application}. ¿Es usted?"),
        transaction: ("¿Aprobar?", "{application} pide su aprobación."),
        hint: ("¿Es usted?", "Abra la aplicación para responder."),
    },
    Language {
        tag: "lt",
        sign_on: ("Prisijungti?", "Kažkas jungiasi prie {application}. Ar tai jūs?"),
        transaction: ("Patvirtinti?", "{application} prašo jūsų patvirtinimo."),
        hint: ("Ar tai jūs?", "Atidarykite programėlę ir atsakykite."),
    },
];

/// Title and text of the push message itself, which travels through the hands of a push service: they name nobody.
pub fn hint(locale: &str) -> (&'static str, &'static str) {
    language(locale).hint
}

fn language(locale: &str) -> &'static Language {
    let primary = locale.split(['-', '_']).next().unwrap_or_default();
    let known = OTHERS.iter().find(|language| language.tag.eq_ignore_ascii_case(primary));
    known.unwrap_or(&ENGLISH)
}

/// The most variables of a template that are shown, and the most characters of one.
const MAX_VARIABLES: usize = 10;
const MAX_VARIABLE_CHARACTERS: usize = 100;

/// The words for a phone with this language tag (BCP 47). `template` is `pi.template` of the request: of its names,
/// `transaction` has words of its own, and its variables are shown as they came.
pub fn of(locale: &str, template: Option<&str>, application: &str) -> Words {
    let language = language(locale);
    let template: Map<String, Value> =
        template.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let is_transaction = template.get("name").and_then(Value::as_str) == Some("transaction");
    let (title, message) = if is_transaction { language.transaction } else { language.sign_on };
    let mut message = message.replace("{application}", application);
    let variables = template.get("variables").and_then(Value::as_object);
    for (name, value) in variables.into_iter().flatten().take(MAX_VARIABLES) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown = |text: &str| -> String {
            let harmless = text.chars().filter(|c| !c.is_control() && !reorders(*c));
            harmless.take(MAX_VARIABLE_CHARACTERS).collect()
        };
        message.extend(["\n", &shown(name), ": ", &shown(&value)]);
    }
    Words { title: title.to_owned(), message }
}

/// Characters that make a text read as something else (UAX 9).
const fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_the_phone_is_spoken_where_it_is_known() {
        for (locale, title) in [
            ("en-GB", "Sign in?"),
            ("DE", "Anmelden?"),
            ("fr_CA", "Se connecter ?"),
            ("tlh", "Sign in?"),
        ] {
            assert_eq!(of(locale, None, "Bank").title, title, "{locale}");
        }
        assert_eq!(of("en", None, "Bank").message, "Somebody signs in to Bank. Is it you?");
    }

    #[test]
    fn the_variables_of_a_transaction_are_shown_and_cannot_forge_lines() {
        let template = r#"{"name":"transaction","variables":{"amount":"10\n(nothing)","to":7}}"#;
        let words = of("en", Some(template), "Bank");
        assert_eq!(words.title, "Approve?");
        assert_eq!(words.message, "Bank asks for your approval.\namount: 10(nothing)\nto: 7");
    }
}
