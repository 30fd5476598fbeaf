//! Lists of addresses in URLs of systems that have several servers, and what stands for special characters there.

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `HOST[:PORT]`, one or several with commas between them; none if any is no address.
pub(super) fn addresses(list: &str, port: u16) -> Option<Vec<Address>> {
    list.split(',').map(|text| one(text, port)).collect()
}

fn one(text: &str, port: u16) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, port),
        Some((host, rest)) => (host, rest.strip_prefix(':')?.parse().ok()?),
        None => match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, port),
        },
    };
    (!host.is_empty()).then(|| Address { host: host.to_owned(), port })
}

/// `%40` is `@`: what has a meaning in a URL is written so.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = after else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_whole_or_nothing() {
        let shown =
            |list| addresses(list, 7).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(shown("a,b:8,[::1],[::2]:9"), Some("a:7 b:8 [::1]:7 [::2]:9".to_owned()));
        for wrong in ["", "a,", "a:b", ":8", "[::1", "[::1]9"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_escaped_is_text() {
        assert_eq!(decoded("a%40b%3A"), Some("a@b:".to_owned()));
        assert_eq!((decoded("%4"), decoded("%zz"), decoded("%ff")), (None, None, None));
    }
}
