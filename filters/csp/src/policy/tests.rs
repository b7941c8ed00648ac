mod allowed;
mod build;
mod meet;
mod print;
mod read;
mod said;
mod template;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn policy(text: &str) -> Policy {
    Policy::parse(text).0
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// What is said of a policy, `kind directive value` each.
fn said(text: &str) -> Vec<String> {
    said_of(text, &Delivery::default())
}

fn said_of(text: &str, delivery: &Delivery<'_>) -> Vec<String> {
    let (policy, mut findings) = Policy::parse(text);
    findings.extend(lint(&policy, delivery));
    let texts = findings.iter().map(|finding| {
        let value = finding.value.as_deref().unwrap_or_default();
        let text = format!("{} {} {value}", finding.kind, finding.directive);
        text.trim_end().to_owned()
    });
    texts.collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_directive_falls_back_to_others() {
    let policy = policy("default-src a; script-src b; child-src c; style-src-attr d");
    for (name, decides) in [
        (Name::ScriptSrcElem, Some(Name::ScriptSrc)),
        (Name::ScriptSrcAttr, Some(Name::ScriptSrc)),
        (Name::WorkerSrc, Some(Name::ChildSrc)),
        (Name::FrameSrc, Some(Name::ChildSrc)),
        (Name::StyleSrcAttr, Some(Name::StyleSrcAttr)),
        (Name::StyleSrcElem, Some(Name::DefaultSrc)),
        (Name::ImgSrc, Some(Name::DefaultSrc)),
        (Name::BaseUri, None),
        (Name::FrameAncestors, None),
    ] {
        let decides_here = policy.effective(&name).map(Directive::name);
        assert_eq!(decides_here, decides.as_ref(), "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_name_of_two_directives_is_refused() {
    let twice = ["'self'", "https:"];
    let directives = twice.map(|source| Directive::new("Script-Src", &[source]).unwrap());
    assert_eq!(Policy::new(directives.into()), Err(Name::ScriptSrc));
}
