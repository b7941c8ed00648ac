//! Pages that nobody wrote.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What pages are made of, and what they are broken by.
const PIECES: &[&str] = &[
    "<script",
    "<style",
    "<link",
    "<p",
    "<svg",
    "<math",
    "<textarea",
    "<title",
    "<select",
    "<xmp",
    "<template",
    "<noscript",
    "<iframe",
    "<base",
    "<meta",
    "<img",
    "<a",
    "<foreignObject",
    "<mi",
    "<frameset",
    "<plaintext",
    "<table",
    "<annotation-xml",
    "<font",
    "<desc",
    "</script",
    "</style",
    "</p",
    "</svg",
    "</math",
    "</textarea",
    "</title",
    "</select",
    "</xmp",
    "</template",
    "</noscript",
    "</iframe",
    "</mi",
    "</desc",
    "</foreignObject",
    "</annotation-xml",
    ">",
    ">",
    ">",
    ">",
    "/>",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "=",
    "=",
    "\"",
    "'",
    "`",
    "&",
    "&amp;",
    "&#60;",
    "<",
    "</",
    "<!--",
    "-->",
    "--!>",
    "<!-->",
    "--",
    "!",
    "<![CDATA[",
    "]]>",
    "<?",
    "<!doctype html>",
    " data-x",
    " data-x=",
    " data-x=1",
    " src=",
    " src=/a",
    " nonce",
    " nonce=",
    " nonce=a",
    " nonce=\"a\"",
    " NONCE='b'",
    " srcset='a, b'",
    " onclick=f()",
    " style=a",
    " href=",
    " type=",
    " rel=stylesheet",
    " charset=",
    "utf-8",
    "shift_jis",
    " color",
    " encoding=text/html",
    "abc",
    "{{NONCE}}",
    "{{NON",
    "ä",
    "\u{FEFF}",
    "javascript:f()",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A page in random pieces.
fn cut(page: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places = cuts
        .iter()
        .map(|cut| cut.index(page.len().max(1)))
        .collect::<Vec<_>>();
    places.extend([0, page.len()]);
    places.sort_unstable();
    let pairs = places.windows(2);
    pairs.map(|pair| page[pair[0]..pair[1]].to_vec()).collect()
}

fn plans() -> Vec<Plan> {
    let selectors = || vec!["[data-x]".parse().unwrap(), "p script".parse().unwrap()];
    vec![
        Plan::new(None, selectors(), None),
        Plan::new(
            Placeholder::new("{{NONCE}}").ok(),
            selectors(),
            Some(Algorithm::Sha256),
        ),
        Plan::new(None, Vec::new(), Some(Algorithm::Sha384)),
    ]
}

/// How many more pages a longer run tries.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(192);
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_page_comes_out_the_same_however_it_is_cut(
        page in soup(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        charset in prop::sample::select(vec![None, Some("utf-8"), Some("gbk"), Some("shift_jis")]),
    ) {
        for plan in plans() {
            let whole = pass(&plan, Coding::Identity, charset, [&*page]).unwrap();
            let pieces = cut(&page, &cuts);
            let other = pass(&plan, Coding::Identity, charset, pieces.iter().map(|piece| &**piece));
            prop_assert_eq!(other, Ok(whole.clone()));
            let body = gzip(&page);
            let pieces = cut(&body, &cuts);
            let other = pass(&plan, Coding::Gzip, charset, pieces.iter().map(|piece| &**piece));
            prop_assert_eq!(other, Ok(whole));
        }
    }

    /// What is new in a page is the nonces, and nothing is missing but those that were there.
    #[test]
    fn nothing_of_any_page_is_lost(page in soup()) {
        let plan = &plans()[0];
        let nonce = " nonce=N0nceN0nceN0nceN0nceN0nce";
        let with = |page: &[u8]| String::from_utf8_lossy(page).into_owned();
        // None is there before.
        let page = with(&page).replace("nonce", "").replace("NONCE", "").into_bytes();
        let mut out = Vec::new();
        let value = Nonce::new(nonce.strip_prefix(" nonce=").unwrap()).unwrap();
        let mut passing = Page::new(plan, Some(&value), Coding::Identity, Some("utf-8"));
        passing.push(&page, &mut out).unwrap();
        let found = passing.finish(&mut out).unwrap();
        let count = with(&out).matches(nonce).count();
        prop_assert_eq!(u32::try_from(count).unwrap(), found.nonces);
        // Before a `/` there is a space with it.
        let without = with(&out).replace(&format!("{nonce} /"), "/").replace(nonce, "");
        prop_assert_eq!(without, with(&page));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(
        bytes in vec(any::<u8>(), 0..200),
        coding in prop::sample::select(vec![Coding::Identity, Coding::Gzip, Coding::Deflate]),
        size in 1_usize..50,
    ) {
        for plan in plans() {
            let mut gzipped = vec![0x1f, 0x8b, 8, 0];
            gzipped.extend_from_slice(&bytes);
            for bytes in [&bytes, &gzipped] {
                let whole = pass(&plan, coding, None, [&**bytes]);
                let other = pass(&plan, coding, None, bytes.chunks(size));
                prop_assert_eq!(whole, other);
            }
        }
    }
}
