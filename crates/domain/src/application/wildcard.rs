//! Redirect URIs in which `*` stands for text, for applications that may have them. RFC 9700, section 2.1, advises against them:
//! so a `*` stands for little, and everything else is compared exactly.

use url::Url;

use super::is_loopback;

/// Whether a registered text is a pattern that may stand: `*` at most once in each label of the host, in each segment of the
/// path and in each member of the query. Not in scheme, port or the last two labels of the host, nor in an app's own scheme,
/// whose host is nobody's.
pub(super) fn is_pattern(text: &str) -> bool {
    let Some(pattern) = Parts::of(text) else { return false };
    let host_is_literal = !pattern.host.contains('*');
    let labels: Vec<&str> = pattern.host.split('.').collect();
    let (free, fixed) = labels.split_at(labels.len().saturating_sub(2));
    let host_may_vary = pattern.url.scheme() == "https"
        && fixed.len() == 2
        && fixed.iter().all(|label| !label.is_empty() && !label.contains('*'))
        // What begins like this says something else than it shows (RFC 5890, section 2.3.2.1).
        && free.iter().all(|label| !(label.contains('*') && label.starts_with("xn--")));
    let web = match pattern.url.scheme() {
        "https" => true,
        "http" => is_loopback(&pattern.url) || pattern.host == "localhost",
        _ => false,
    };
    let once = |piece: &str| piece.matches('*').count() <= 1;
    web && (host_is_literal || host_may_vary)
        && labels.iter().all(|label| once(label))
        && pattern.path().all(once)
        && pattern.query().all(once)
}

/// Whether a pattern covers the `redirect_uri` of a request.
///
/// A `*` stands for one or more unreserved characters (RFC 3986, section 2.3): for no part of a structure, whoever reads it. The
/// request must already be in the form that the parser writes, so that no browser takes it for another address.
pub(crate) fn covers(pattern: &str, requested: &str) -> bool {
    let (Some(pattern), Some(requested)) = (Parts::of(pattern), Parts::of(requested)) else {
        return false;
    };
    // A server behind the address may decode these once more, and find other segments.
    let text = requested.url.as_str().to_ascii_lowercase();
    let hides_a_slash = text.contains("%2f") || text.contains("%5c");
    !hides_a_slash
        && pattern.url.scheme() == requested.url.scheme()
        && pattern.url.port() == requested.url.port()
        && pieces_match(pattern.host.split('.'), requested.host.split('.'), is_of_label)
        && pieces_match(pattern.path(), requested.path(), is_unreserved)
        && pattern.url.query().is_some() == requested.url.query().is_some()
        && pieces_match(pattern.query(), requested.query(), is_unreserved)
}

/// An address in the form that the parser writes, without user and fragment.
struct Parts {
    url: Url,
    host: String,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let plain = url.as_str() == text
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str()?.to_owned();
        plain.then_some(Self { url, host })
    }

    fn path(&self) -> impl Iterator<Item = &str> {
        self.url.path().split('/')
    }

    fn query(&self) -> impl Iterator<Item = &str> {
        self.url.query().unwrap_or_default().split('&')
    }
}

fn pieces_match<'a>(
    mut patterns: impl Iterator<Item = &'a str>,
    mut pieces: impl Iterator<Item = &'a str>,
    may_stand: fn(char) -> bool,
) -> bool {
    loop {
        match (patterns.next(), pieces.next()) {
            (None, None) => return true,
            (Some(pattern), Some(piece)) if piece_matches(pattern, piece, may_stand) => {}
            (_, _) => return false,
        }
    }
}

fn piece_matches(pattern: &str, piece: &str, may_stand: fn(char) -> bool) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == piece };
    let between = piece.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    between.is_some_and(|text| !text.is_empty() && text.chars().all(may_stand))
}

/// Of a host in the parser's form: lower case, and anything beyond ASCII encoded.
const fn is_of_label(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-')
}

const fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_keeps_to_whole_hosts_of_one_owner() {
        let good = [
            "https://*.bank.example/cb",
            "https://pr-*.preview.bank.example/cb",
            "https://*.*.bank.example/cb",
            "https://bank.example:8443/*/cb",
            "https://bank.example/cb?tenant=*&page=p*",
            "http://127.0.0.1/*",
            "http://localhost:8080/cb-*",
        ];
        let bad = [
            "*",
            "https://*",
            "https://*/cb",
            "https://*.example/cb",
            "https://bank.*/cb",
            "https://a.*.example/cb",
            "https://*.bank.example./cb",
            "https://**.bank.example/cb",
            "https://a*b*.bank.example/cb",
            "https://xn--*.bank.example/cb",
            "https://*.0.0.1/cb",
            "https://bank.example:*/cb",
            "https://*@bank.example/cb",
            "https://user:*@bank.example/cb",
            "https://bank.example/cb#*",
            "https://bank.example/*/*x*",
            "https://bank.example/cb?a=*-*",
            "https://*.BANK.example/cb",
            "https://*.bank.example",
            "https://*.bank.example/a/../cb",
            "*://bank.example/cb",
            "http*://bank.example/cb",
            "http://*.localhost/cb",
            "http://*.bank.example/cb",
            "http://127.0.0.*/cb",
            "org.bank.app:/*",
            "org.bank.app://*/cb",
        ];
        for text in good {
            assert!(is_pattern(text), "{text}");
        }
        for text in bad {
            assert!(!is_pattern(text), "{text}");
        }
    }

    #[test]
    fn a_star_in_the_host_stands_for_a_part_of_one_label() {
        let pattern = "https://*.bank.example/cb";
        let good = ["https://a.bank.example/cb", "https://pr-17.bank.example/cb"];
        let bad = [
            "https://bank.example/cb",
            "https://.bank.example/cb",
            "https://a.b.bank.example/cb",
            "https://a.bank.example.evil.example/cb",
            "https://evil.example/.bank.example/cb",
            "https://evil.example/.bank.example",
            "https://evil.example?.bank.example/cb",
            "https://evil.example#.bank.example/cb",
            "https://evil.example\\.bank.example/cb",
            "https://evil.example%2f.bank.example/cb",
            "https://evil.example%23.bank.example/cb",
            "https://bank.example%2f@evil.example/cb",
            "https://a.bank.example@evil.example/cb",
            "https://evil@a.bank.example/cb",
            "https://evil.example:443@a.bank.example/cb",
            "https://a.bank.example./cb",
            "https://a.bank.example:8443/cb",
            "https://a.bank.example:443/cb",
            "https://A.bank.example/cb",
            "https://a.BANK.example/cb",
            "HTTPS://a.bank.example/cb",
            "http://a.bank.example/cb",
            "https:/a.bank.example/cb",
            "https:a.bank.example/cb",
            "https:\\\\a.bank.example\\cb",
            "//a.bank.example/cb",
            "https://\u{e4}.bank.example/cb",
            "https://a\u{3002}bank.example/cb",
            "https://a.b\u{430}nk.example/cb",
            "https://a_b.bank.example/cb",
            "https://*.bank.example/cb",
            "https://a.bank.example/cb/",
            "https://a.bank.example/cb?",
            "https://a.bank.example/cb?x=1",
            "https://a.bank.example/cb#x",
            "https://a.bank.example/x/../cb",
            "https://a.bank.example/./cb",
            "https://a.bank.example/%2e/cb",
            "https://a.bank.example/c\tb",
            " https://a.bank.example/cb",
        ];
        for uri in good {
            assert!(covers(pattern, uri), "{uri}");
        }
        for uri in bad {
            assert!(!covers(pattern, uri), "{uri}");
        }
    }

    #[test]
    fn a_star_in_path_and_query_stands_for_plain_characters() {
        let pattern = "https://bank.example/app/*/cb?tenant=*";
        let good = ["https://bank.example/app/7/cb?tenant=eu-1"];
        let bad = [
            "https://bank.example/app//cb?tenant=eu",
            "https://bank.example/app/7/cb?tenant=",
            "https://bank.example/app/7/cb",
            "https://bank.example/app/7/8/cb?tenant=eu",
            "https://bank.example/app/../cb?tenant=eu",
            "https://bank.example/app/%2e%2e/cb?tenant=eu",
            "https://bank.example/app/..%2f/cb?tenant=eu",
            "https://bank.example/app/..%5C/cb?tenant=eu",
            "https://bank.example/app/..;/cb?tenant=eu",
            "https://bank.example/app/a@b/cb?tenant=eu",
            "https://bank.example/app/a\\b/cb?tenant=eu",
            "https://bank.example/app/%00/cb?tenant=eu",
            "https://bank.example/app/7/cb?tenant=eu&next=evil",
            "https://bank.example/app/7/cb?tenant=https://evil.example",
            "https://bank.example/app/7/cb?tenant=%2f%2fevil.example",
            "https://bank.example/app/7/cb?tenant=eu#x",
            "https://bank.example/app/*/cb?tenant=*",
        ];
        for uri in good {
            assert!(covers(pattern, uri), "{uri}");
        }
        for uri in bad {
            assert!(!covers(pattern, uri), "{uri}");
        }
    }
}
