//! Sessions that nobody has.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![any::<String>(), "[A-Za-z0-9_.-]{0,2000}"].prop_map(Into::into)
}

fn claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        let member = (any::<String>(), inner.clone());
        prop_oneof![
            vec(inner, 0..8).prop_map(Value::from),
            vec(member, 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn sessions()(
        subject in text(),
        times in any::<[u64; 4]>(),
        texts in [option::of(text()), option::of(text()), option::of(text()), option::of(text())],
        claims in vec((any::<String>(), claim()), 0..8),
        told in vec(text(), 0..4),
    ) -> Session {
        let [signed_in_at, ends_at, access_expires_at, refresh_expires_at] = times;
        let [session_id, access_token, refresh_token, id_token] = texts;
        Session {
            subject,
            session_id,
            signed_in_at,
            ends_at,
            access_token,
            access_expires_at,
            refresh_token,
            refresh_expires_at,
            id_token,
            claims: claims.into_iter().collect(),
            told,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_session_comes_back_as_it_was(session in sessions()) {
        prop_assert!(Session::decode(&session.encode()) == Some(session));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in vec(any::<u8>(), 1..400), version in 0_u8..4) {
        bytes[0] = version;
        if let Some(session) = Session::decode(&bytes) {
            prop_assert!(Session::decode(&session.encode()) == Some(session));
        }
    }
}
