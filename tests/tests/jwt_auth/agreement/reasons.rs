//! Why this filter does otherwise than Envoy's own.

/// A reason, as the README tells it.
pub(super) struct Reason {
    /// What is sent, where one reason covers many cases.
    pub(super) what: &'static str,
    /// Why.
    pub(super) why: &'static str,
}

macro_rules! reasons {
    ($($name:ident: $what:literal, $why:literal;)*) => {
        $(pub(super) const $name: &Reason = &Reason { what: $what, why: $why };)*
        /// All, in the README's order.
        pub(super) const ALL: &[&Reason] = &[$($name),*];
    };
}

reasons! {
    ALGORITHM: "`alg` names an algorithm that the key is not for",
        "The algorithm must fit the key's type and curve (RFC 8725, section 3.1). Envoy looks at it for RSA keys alone.";
    USE: "a key whose `use` or `key_ops` are for something else",
        "A key is for what it says (RFC 7517, sections 4.2 and 4.3).";
    SHORT_SECRET: "an HMAC secret shorter than the hash",
        "RFC 7518, section 3.2.";
    PARTS: "dots too many",
        "Exactly three parts, none of them empty (RFC 7515, section 7.1). Envoy skips empty ones.";
    BASE64: "padding, stray bits, or characters that are not base64url",
        "One token has one spelling (RFC 7515, section 2): a deny list or a cache that goes by the text cannot be walked around.";
    SIGNATURE_LENGTH: "an ECDSA signature of another length",
        "RFC 7518, section 3.4.";
    CRITICAL: "`crit`, and `b64`",
        "What must be understood is not (RFC 7515, section 4.1.11; RFC 7797).";
    HEADER_TYPES: "header members of a wrong type",
        "RFC 7515, section 4.1.";
    NO_OBJECT: "a payload that is `null`",
        "A payload is an object (RFC 7519, section 7.2).";
    DEPTH: "JSON nested deeper than 32",
        "No reader behind this one should be sent it (CVE-2026-48042). Envoy stops at 100.";
    NO_EXPIRY: "`exp` of 0",
        "1970 is past. Envoy takes it for no `exp` at all, under `require_expiration` not.";
    PREFIX: "a scheme or `value_prefix` that is not at the start",
        "A value is what it begins with. Envoy takes the prefix wherever it stands, and skips what follows it.";
    LENGTH: "a token longer than 8 KiB",
        "What a token may cost is bounded.";
    COOKIES: "a good token in a cookie, without `forward`",
        "What was used is taken away, in a cookie too.";
    NO_HEADER: "a claim with a line break or a NUL, for `claim_to_headers`",
        "No header can hold it. Envoy writes it all the same, and refuses its own request.";
    NUMBERS: "a number that is negative, has a fraction or more than 53 bits, for `claim_to_headers`",
        "A number is what the issuer wrote. Envoy makes a double of it, and six decimals.";
    LISTS: "a list, for `claim_to_headers`",
        "`list_separator` joins it.";
    OBJECTS: "an object or an empty list, for `claim_to_headers`",
        "No header is made of it; `claim_name` and `claim_path` reach into objects.";
    UNDERSCORES: "a header with `_` where a header of the filter's own has `-`",
        "Many servers take both for one (CVE-2025-64484).";
    EMPTY_ID: "an empty `kid`",
        "No key has that name.";
    NO_CURVE: "a key without `crv`",
        "RFC 7518, section 6.2.1.1.";
    AGAIN: "a parameter or a cookie twice, a good token first",
        "All tokens that are found must be good: a server might read the other one. Envoy looks at the first.";
    ONE_BAD: "a good token and a bad one, under `allow_missing` alone",
        "All tokens that are found must be good. Envoy lets the last one decide.";
    TWICE: "a token that two requirements ask for",
        "What it gave stays. Envoy takes the first one's headers away again.";
    EXTRACTED: "a token under `extract_only_without_validation`",
        "What was not verified is marked as such. Envoy 1.40 verifies all the same; versions after it do as is done here.";
    FORGED_MARK: "`x-jwt-signature-verified` from a client",
        "Trusted headers come from nowhere else.";
    PARAMETERS: "parameters beside a token that is taken out",
        "What stays is as it was sent. Envoy decodes and sorts it: a space, escaped, breaks the request line.";
    PATHS: "a path that servers read in several ways (`..`, `//`, `%2F`, `;`), where `normalize_path` is off",
        "It passes where it would under every reading (CVE-2026-73511, CVE-2026-73551). Envoy takes it as it was sent.";
    ESCAPED_LETTER: "a letter or digit that is escaped in a path, where `normalize_path` is off",
        "`%68` is `h` (RFC 3986, section 6.2.2.2).";
    QUERY: "a rule on a parameter that is escaped or sent twice",
        "Parameters are compared decoded, each of its values.";
    AUDIENCE: "an audience with or without a scheme or a slash at its end",
        "Audiences are compared exactly (RFC 7519, section 4.1.3).";
    LAST_SECOND: "a token in the very second in which it expires, `clock_skew_seconds` added",
        "On or after `exp` a token must not be accepted (RFC 7519, section 4.1.4).";
    FAR_AHEAD: "an `exp` past every calendar",
        "No clock shows it.";
}

/// Where both refuse, but ours says why in other words: Envoy's, and ours.
pub(super) const TEXTS: &[(&str, &str)] = &[
    // Ours looks whether an algorithm fits a key before it looks at the signature.
    (
        "Jwt verification fails",
        "Jwks doesn't have key to match kid or alg from Jwt",
    ),
    (
        "Jwt ED25519 signature is wrong length",
        "Jwks doesn't have key to match kid or alg from Jwt",
    ),
    (
        "Jwt ED25519 signature is wrong length",
        "Jwt verification fails",
    ),
    // A header is an object before it has members.
    (
        "Jwt header [alg] field is required and must be a string",
        "Jwt header is an invalid JSON",
    ),
    // Stray bits and lengths that no bytes have are no base64url.
    (
        "Jwt header is an invalid JSON",
        "Jwt header is an invalid Base64url encoded",
    ),
    (
        "Jwt verification fails",
        "Jwt payload is an invalid Base64url encoded",
    ),
    (
        "Jwt signature is an invalid Base64url encoded",
        "Jwt header is an invalid Base64url encoded",
    ),
    // Parts and lengths are looked at first.
    (
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
        "Jwt is too long",
    ),
    (
        "Jwt signature is an invalid Base64url encoded",
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    ),
    // Times of another type.
    (
        "Jwt payload [exp] field is not an integer",
        "Jwt payload [exp] field is not a positive 64 bit integer",
    ),
    (
        "Jwt payload [iat] field is not an integer",
        "Jwt payload [iat] field is not a positive 64 bit integer",
    ),
    (
        "Jwt payload [nbf] field is not an integer",
        "Jwt payload [nbf] field is not a positive 64 bit integer",
    ),
    // `exp` of 0 is one.
    ("Jwt verification fails", "Jwt is expired"),
];
