//! Why this filter does otherwise than Envoy's own.

/// A reason, as the README tells it.
pub(super) struct Reason {
    /// What the tables call it.
    pub(super) name: &'static str,
    /// What is sent or configured.
    pub(super) what: &'static str,
    /// What Envoy's own does.
    pub(super) envoy: &'static str,
    /// What ours does.
    pub(super) here: &'static str,
    /// Why.
    pub(super) why: &'static str,
}

macro_rules! reasons {
    ($($name:ident: $what:literal, $envoy:literal, $here:literal, $why:literal;)*) => {
        /// All, in the README's order.
        pub(super) const ALL: &[Reason] = &[$(Reason {
            name: stringify!($name),
            what: $what,
            envoy: $envoy,
            here: $here,
            why: $why,
        }),*];
    };
}

reasons! {
    zero: "`hits_addend` of 0",
        "refuses the request, always", "lets it pass, and takes nothing",
        "What costs nothing cannot be too much.";
    no_number: "a format in `hits_addend` that gives no number",
        "leaves the descriptor out: its limit does not hold", "counts one",
        "Whoever sends the header would choose whether they are limited.";
    digits: "hits that a format gives as `+2`, `2e0` or `0x2`",
        "are two", "are one",
        "A count is written in digits, and may have a point.";
    repeated_parameter: "a test of a query parameter that is there twice",
        "looks at the first", "looks at all",
        "Nobody gets past a test by what they put in front.";
    plus: "`+` in a query parameter",
        "a plus", "a space",
        "That is what forms send, and what servers make of it.";
    mapped: "an IPv4 address written as IPv6 (`::ffff:10.1.2.3`)",
        "another client", "the same client",
        "It is one client, and one limit.";
    shares: "`filter_enabled` or `filter_enforced` left out",
        "is 0 %: the limit does not hold", "is 100 %",
        "A limit that is written holds.";
    keys: "`max_dynamic_descriptors` left out",
        "is 20 for each descriptor: whoever comes back after 20 others begins anew",
        "is 100,000 for each",
        "A limit for each client should hold for more than 20 of them.";
    retry_after: "`enable_retry_after_header` left out",
        "is `false`", "is `true`",
        "Who is told when to come again need not try.";
    cost: "`Retry-After` for a request that counts several hits",
        "when one hit passes", "when that request passes; left out if it never does",
        "Coming again earlier is in vain.";
    shadow: "a limit in `shadow_mode`",
        "clients are told of it, and that it is used up", "clients are told of the other limits",
        "It does not hold for them: nobody is to wait because of it.";
    when: "how much is left, in `x-ratelimit-remaining`",
        "as it is when the answer goes", "as it was when the request came",
        "Looking again would be a look into shared data for each answer.";
    metadata: "metadata that is no text: a number, a flag, a list or an object",
        "is no value", "is a value, each its own; none of them can be configured",
        "A module is given bytes and not told of what. As no value, some would not be limited.";
    format: "a format as the value of `generic_key`",
        "is literal, unless runtime says otherwise", "is rendered",
        "A format is a format everywhere.";
    no_tokens: "`max_tokens` of 0, or left out",
        "takes it, and refuses every request", "refused",
        "It is a slip: nobody would ever get in.";
    intervals: "a `fill_interval`",
        "from 50 ms on; below 1 ms there is no limit at all", "1 ms to 366 days",
        "A limit that is written holds.";
    nothing: "what can never hold: no limit, a descriptor that nothing makes, a test without networks",
        "takes it", "refused",
        "Whoever wrote it believes in a limit that there is not.";
    room: "`max_dynamic_descriptors` beyond ten million",
        "takes it", "refused",
        "All keys are held in memory.";
    status: "a `status` below 400, or one without a name",
        "below 400 is 429; one without a name is refused", "400 to 599",
        "A refusal is no success, and any of them may be meant.";
    runtime: "`runtime_key`",
        "looks it up", "refused",
        "A module has no runtime.";
    given_back: "`is_negative_hits`",
        "gives tokens back", "refused",
        "Hits are counted when a request begins.";
    hits: "`hits_addend` beyond a million",
        "up to a thousand million", "refused",
        "It is a slip.";
    stream_done: "`apply_on_stream_done`",
        "takes it, and does nothing", "refused",
        "Whoever wrote it believes in a limit that there is not.";
    one_alone: "`x_ratelimit_option`",
        "headers for one rate limit alone", "refused",
        "Headers are switched on for all limits together.";
}
