//! Names that are not known, and the ones that were perhaps meant.

/// The sentence for a name that is none of the known ones.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let meant =
        nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let known = match known {
        [] => format!("there is no {what} at all"),
        known => format!("known: {}", known.join(", ")),
    };
    format!("there is no {what} `{name}`{meant} ({known})")
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn suggests_the_nearest_name() {
        let text = unknown("filter", "jwt_auth", &["csp", "jwt-auth", "oauth2"]);

        assert_eq!(
            text,
            "there is no filter `jwt_auth`; did you mean `jwt-auth`? (known: csp, jwt-auth, oauth2)"
        );
    }

    #[test]
    fn suggests_nothing_where_nothing_is_near() {
        let text = unknown("filter", "zzz", &["csp"]);

        assert_eq!(text, "there is no filter `zzz` (known: csp)");
    }
}
