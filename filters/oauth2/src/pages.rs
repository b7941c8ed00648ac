//! What the filter answers itself: to people in HTML, to programs in JSON or gRPC.

use std::fmt::Write as _;

use legation::LocalReply;
use legation::matcher::RequestView;
use legation::reply::GrpcStatus;
use serde_json::json;

mod accept;

/// In what form an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// A page for people.
    Page,
    /// JSON.
    Json,
    /// gRPC, which Envoy makes of the reply.
    Grpc,
}

impl Wants {
    /// What a request asks for: a page where it says so before JSON, or does not say.
    pub(crate) fn of<V: RequestView + ?Sized>(request: &mut V) -> Result<Self, V::Error> {
        if is_grpc(request)? {
            return Ok(Self::Grpc);
        }
        Ok(if is_script(request)? || !accept::takes_pages(request)? {
            Self::Json
        } else {
            Self::Page
        })
    }
}

/// Whether a request is a browser's that goes somewhere, and can be sent elsewhere: it
/// reads a page, and no script waits for the answer.
pub(crate) fn is_navigation<V: RequestView + ?Sized>(request: &mut V) -> Result<bool, V::Error> {
    let reads = matches!(request.header(":method")?, Some(b"GET" | b"HEAD"));
    Ok(reads && Wants::of(request)? == Wants::Page && request.header("upgrade")?.is_none())
}

fn is_grpc<V: RequestView + ?Sized>(request: &mut V) -> Result<bool, V::Error> {
    let Some(content_type) = request.header("content-type")? else {
        return Ok(false);
    };
    // As Envoy tells it: gRPC-Web, which browsers speak, has HTTP's own statuses.
    let rest = content_type.strip_prefix(b"application/grpc");
    Ok(rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))))
}

/// Whether it says that a script waits for the answer (Fetch Metadata, section 2.2; and
/// what libraries send from before that).
fn is_script<V: RequestView + ?Sized>(request: &mut V) -> Result<bool, V::Error> {
    let by_mode = request.header("sec-fetch-mode")?;
    if by_mode.is_some_and(|mode| mode != b"navigate") {
        return Ok(true);
    }
    let by_library = request.header("x-requested-with")?;
    Ok(by_library.is_some_and(|with| with.eq_ignore_ascii_case(b"XMLHttpRequest")))
}

/// Why a sign-in, or a request, came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no session, and the request is none that is sent to sign in.
    Unauthorized,
    /// The browser does not have the cookie of the sign-in.
    FlowMissing,
    /// It took too long.
    FlowExpired,
    /// Browser and provider did not agree to it.
    AccessDenied,
    /// The provider says that something is wrong, with us or with it.
    ProviderRefused,
    /// The provider does not answer.
    ProviderUnavailable,
    /// What it gave cannot be used.
    TokenInvalid,
    /// Who is signed in may not come in.
    Forbidden,
    /// Somebody was signed in again and again.
    Loop,
    /// What came back from the provider is not what it sends.
    BadCallback,
    /// The request's own URL is none that a browser can be sent back to.
    BadPlace,
    /// The provider's metadata is not there yet.
    NotReady,
    /// Another site wanted to have somebody signed out.
    ForcedSignOut,
}

/// What is told of a trouble.
struct Told {
    status: u16,
    grpc: GrpcStatus,
    /// For programs.
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

/// After how many seconds a request that came too early may come again.
const RETRY_AFTER: &str = "5";

impl Trouble {
    /// What it is where the provider sends an `error` instead of a code (RFC 6749, section
    /// 4.1.2.1; `OpenID` Connect Core 1.0, section 3.1.2.6).
    pub(crate) fn refused_by_provider(error: &str) -> Self {
        match error {
            "access_denied"
            | "login_required"
            | "consent_required"
            | "interaction_required"
            | "account_selection_required" => Self::AccessDenied,
            "temporarily_unavailable" => Self::ProviderUnavailable,
            _ => Self::ProviderRefused,
        }
    }

    fn told(&self) -> Told {
        let (status, code, title, text) = match self {
            Self::Unauthorized => (
                401,
                "unauthorized",
                "You are not signed in",
                "This address needs a session, and the request has none.",
            ),
            Self::FlowMissing => (
                400,
                "flow_missing",
                "The sign-in could not be finished",
                "Your browser has no cookie of this sign-in. It was finished before, was begun in another browser, or cookies are blocked.",
            ),
            Self::FlowExpired => (
                400,
                "flow_expired",
                "The sign-in took too long",
                "For your safety a sign-in has to be finished within a few minutes.",
            ),
            Self::AccessDenied => (
                403,
                "access_denied",
                "You were not signed in",
                "The sign-in was cancelled, or the sign-in service did not agree to it.",
            ),
            Self::ProviderRefused => (
                502,
                "provider_refused",
                "The sign-in failed",
                "The sign-in service refused the request of this site.",
            ),
            Self::ProviderUnavailable => (
                503,
                "provider_unavailable",
                "The sign-in service does not answer",
                "Please try again in a moment.",
            ),
            Self::TokenInvalid => (
                502,
                "token_invalid",
                "The sign-in failed",
                "The sign-in service gave an answer that cannot be used.",
            ),
            Self::Forbidden => (
                403,
                "forbidden",
                "You may not come in here",
                "You are signed in, but this address is not open to your account.",
            ),
            Self::Loop => (
                400,
                "loop",
                "The sign-in does not come to an end",
                "You were signed in several times, and each time your browser came back without its cookie. Allow cookies for this site, then try again in a minute.",
            ),
            Self::BadCallback => (
                400,
                "bad_callback",
                "The sign-in could not be finished",
                "What your browser brought back is not what the sign-in service sends.",
            ),
            Self::BadPlace => (
                400,
                "bad_place",
                "The sign-in cannot begin here",
                "There would be no way back to this address: it is too long, or not one of this site.",
            ),
            Self::NotReady => (
                503,
                "not_ready",
                "The sign-in is not ready yet",
                "Please try again in a moment.",
            ),
            Self::ForcedSignOut => (
                403,
                "forced_sign_out",
                "You are still signed in",
                "Another site wanted to sign you out here.",
            ),
        };
        Told {
            status,
            grpc: match status {
                400 => GrpcStatus::InvalidArgument,
                401 => GrpcStatus::Unauthenticated,
                403 => GrpcStatus::PermissionDenied,
                _ => GrpcStatus::Unavailable,
            },
            code,
            title,
            text,
        }
    }

    /// Whether it may be over when one tries again.
    fn passes(&self) -> bool {
        matches!(self, Self::ProviderUnavailable | Self::NotReady)
    }
}

/// What a request gets that came to nothing. A page has a link to the URL where one tries
/// again, which must be one that the browser may be sent to.
pub(crate) fn failure(
    trouble: &Trouble,
    wants: Wants,
    request_id: Option<String>,
    original_url: Option<&str>,
) -> LocalReply {
    Answer::failure(trouble, wants, request_id, original_url).into()
}

/// What a request gets that has no session and is none that is sent to sign in.
pub(crate) fn unauthorized(wants: Wants, request_id: Option<String>) -> LocalReply {
    failure(&Trouble::Unauthorized, wants, request_id, None)
}

/// What somebody gets who is signed out, and has nowhere to go.
pub(crate) fn signed_out(wants: Wants) -> LocalReply {
    Answer::signed_out(wants).into()
}

/// What somebody gets who was signed in with a cookie that browsers keep back from what another site has
/// begun: a page that goes on by itself, as whose next request begins here.
pub(crate) fn signed_in(url: &str) -> LocalReply {
    Answer::signed_in(url).into()
}

/// A reply, as it can be looked at.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    grpc: GrpcStatus,
}

impl From<Answer> for LocalReply {
    fn from(answer: Answer) -> Self {
        let reply = Self::new(answer.status).grpc_status(answer.grpc);
        let headers = answer.headers.into_iter();
        let reply = headers.fold(reply, |reply, (name, value)| reply.header(name, value));
        reply.body(answer.body)
    }
}

/// A longer one is no request's.
const LONGEST_ID: usize = 128;

impl Answer {
    fn failure(
        trouble: &Trouble,
        wants: Wants,
        request_id: Option<String>,
        original_url: Option<&str>,
    ) -> Self {
        let told = trouble.told();
        let is_id =
            |id: &String| id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
        let id = request_id.filter(is_id);
        let body = match wants {
            Wants::Page => {
                let again = original_url.map(Link::Again);
                page(told.title, told.text, again, id.as_deref())
            }
            Wants::Json => {
                let mut body = json!({"error": told.code, "error_description": told.text});
                if let (Some(id), Some(members)) = (id, body.as_object_mut()) {
                    members.insert("request_id".to_owned(), id.into());
                }
                body.to_string()
            }
            Wants::Grpc => told.text.to_owned(),
        };
        let mut headers = headers(wants);
        if *trouble == Trouble::Unauthorized {
            headers.push(("www-authenticate", CHALLENGE));
        }
        if trouble.passes() {
            headers.push(("retry-after", RETRY_AFTER));
        }
        Self {
            status: told.status,
            headers,
            body,
            grpc: told.grpc,
        }
    }

    fn signed_in(url: &str) -> Self {
        const TITLE: &str = "You are signed in";
        const TEXT: &str = "The page that you asked for comes now.";

        Self {
            status: 200,
            headers: headers(Wants::Page),
            body: page(TITLE, TEXT, Some(Link::Next(url)), None),
            grpc: GrpcStatus::Ok,
        }
    }

    fn signed_out(wants: Wants) -> Self {
        const TITLE: &str = "You are signed out";
        const TEXT: &str = "You may still be signed in at the sign-in service.";

        Self {
            status: 200,
            headers: headers(wants),
            body: match wants {
                Wants::Page => page(TITLE, TEXT, None, None),
                Wants::Json => json!({"signed_out": true}).to_string(),
                Wants::Grpc => TITLE.to_owned(),
            },
            grpc: GrpcStatus::Ok,
        }
    }
}

/// RFC 6750, section 3, which has a challenge say something besides its scheme.
const CHALLENGE: &str = "Bearer realm=\"oauth2\"";

/// Pages show what a request said and run nothing.
const POLICY: &str = "default-src 'none'; style-src 'sha256-3JE7e+IiueU8Ab91GP21+psqMGT3rBmCOPq8Zt1RmgU='; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;color-scheme:light dark;\
    margin:15vh auto;max-width:32rem;padding:0 1rem}h1{font-size:1.5rem}small{opacity:.8}";

fn headers(wants: Wants) -> Vec<(&'static str, &'static str)> {
    let mut headers = vec![
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    match wants {
        Wants::Page => headers.extend([
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", POLICY),
            ("referrer-policy", "no-referrer"),
        ]),
        Wants::Json => headers.push(("content-type", "application/json")),
        Wants::Grpc => {}
    }
    headers
}

/// Where a page leads.
#[derive(Clone, Copy)]
enum Link<'a> {
    /// Whoever wants to tries again there.
    Again(&'a str),
    /// It goes on there by itself.
    Next(&'a str),
}

impl<'a> Link<'a> {
    fn url(self) -> &'a str {
        match self {
            Self::Again(url) | Self::Next(url) => url,
        }
    }
}

/// A page that is all there is to it.
fn page(title: &str, text: &str, link: Option<Link<'_>>, id: Option<&str>) -> String {
    let link = link.filter(|link| is_link(link.url()));
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    // Writing to a text does not fail.
    if let Some(Link::Next(url)) = link {
        let url = Escaped(url);
        let _ = writeln!(
            page,
            "<meta http-equiv=\"refresh\" content=\"0;url={url}\">"
        );
    }
    let _ = write!(
        page,
        "<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p>{text}</p>\n"
    );
    if let Some(link) = link {
        let text = match link {
            Link::Again(_) => "Try again",
            Link::Next(_) => "Go on",
        };
        let url = Escaped(link.url());
        let _ = writeln!(page, "<p><a href=\"{url}\">{text}</a></p>");
    }
    if let Some(id) = id {
        let id = Escaped(id);
        let _ = writeln!(page, "<p><small>Request <code>{id}</code></small></p>");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Whether a link leads to a page: not to a script, and not, by `//`, to another host.
fn is_link(url: &str) -> bool {
    let is_path = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain && (is_path || url.starts_with("https://") || url.starts_with("http://"))
}

/// Text within HTML, in an attribute too.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
