//! The browser of the harness does what tests ask of it, against a plain server.

use std::time::Duration;

use anyhow::Result;
use legation_tests::browser::{Page, run_tests};
use legation_tests::{Browser, Reply, Upstream};
use serde_json::json;

fn main() {
    run_tests(&[
        ("a_page_runs_scripts", a_page_runs_scripts),
        ("scripts_are_evaluated", scripts_are_evaluated),
        ("the_console_is_seen", the_console_is_seen),
        (
            "a_navigation_that_fails_says_why",
            a_navigation_that_fails_says_why,
        ),
        (
            "a_page_that_is_too_slow_is_given_up",
            a_page_that_is_too_slow_is_given_up,
        ),
        (
            "pages_keep_their_cookies_apart",
            pages_keep_their_cookies_apart,
        ),
        ("a_form_is_filled_and_sent", a_form_is_filled_and_sent),
        ("it_goes_back_and_loads_again", it_goes_back_and_loads_again),
        (
            "it_follows_redirects_of_every_kind",
            it_follows_redirects_of_every_kind,
        ),
        (
            "a_policy_that_is_violated_is_told",
            a_policy_that_is_violated_is_told,
        ),
        (
            "a_dialog_does_not_stop_a_page",
            a_dialog_does_not_stop_a_page,
        ),
        (
            "it_ends_with_everything_that_it_started",
            it_ends_with_everything_that_it_started,
        ),
    ]);
}

/// A server of these pages, by their paths.
struct Site {
    upstream: Upstream,
}

impl Site {
    fn of(pages: &'static [(&'static str, &'static str)]) -> Result<Self> {
        Self::answering(move |path| {
            let page = pages.iter().find(|page| page.0 == path);
            page.map(|page| html(page.1))
        })
    }

    fn answering(answer: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) -> Result<Self> {
        let upstream = Upstream::answering(move |request| {
            answer(&request.path).unwrap_or_else(|| Reply::status(404))
        })?;
        Ok(Self { upstream })
    }

    fn at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.upstream.address().port())
    }
}

fn html(page: &str) -> Reply {
    Reply::ok().header("content-type", "text/html").body(page)
}

fn a_page_runs_scripts(browser: &Browser) -> Result<()> {
    let site = Site::of(&[(
        "/",
        "<h1>Before</h1>
         <script>document.querySelector('h1').textContent = 'After'</script>
         <script>setTimeout(() => document.title = 'Done', 1)</script>",
    )])?;
    let page = browser.page()?;

    page.goto(&site.at("shop.example", "/"))?;

    assert_eq!(page.text("h1")?, "After");
    page.wait_for("document.title === 'Done'")?;
    let error = page.text("h2").unwrap_err().to_string();
    assert!(error.contains("h2 on http://shop.example"), "{error}");
    let document = &page.requests()[0];
    assert_eq!(
        (document.kind.as_str(), document.status),
        ("Document", Some(200))
    );
    assert_eq!(
        document.response_headers.text("content-type").as_deref(),
        Some("text/html")
    );
    Ok(())
}

fn scripts_are_evaluated(browser: &Browser) -> Result<()> {
    let page = browser.page()?;

    assert_eq!(
        page.evaluate("({a: [1, 'two', null]})")?,
        json!({"a": [1, "two", null]})
    );
    assert_eq!(page.evaluate("Promise.resolve(3)")?, json!(3));
    assert_eq!(page.evaluate("undefined")?, json!(null));
    for (script, said) in [
        ("nobody()", "ReferenceError: nobody is not defined"),
        ("Promise.reject(new Error('no'))", "Error: no"),
        ("not a script", "SyntaxError"),
    ] {
        let error = page.evaluate(script).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    Ok(())
}

fn the_console_is_seen(browser: &Browser) -> Result<()> {
    let site = Site::of(&[
        (
            "/",
            "<script>console.warn('one', 2, true)</script>
             <script>throw new Error('three')</script>
             <script>
               const frame = document.createElement('iframe');
               frame.src = `http://other.example:${location.port}/frame`;
               document.documentElement.append(frame);
             </script>
             <img src='/nothing.png'>",
        ),
        ("/frame", "<script>console.log('framed')</script>"),
    ])?;
    let page = browser.page()?;

    page.goto(&site.at("shop.example", "/"))?;

    let warning = page.wait_for_console("one 2 true")?;
    assert_eq!(
        (warning.source.as_str(), warning.level.as_str()),
        ("console", "warning")
    );
    assert_eq!(warning.url, site.at("shop.example", "/"));
    assert_eq!(page.wait_for_console("Error: three")?.source, "exception");
    let framed = page.wait_for_console("framed")?;
    assert_eq!(framed.url, site.at("other.example", "/frame"));
    let missing = page.wait_for_console("404")?;
    assert_eq!(missing.source, "network");
    assert_eq!(missing.url, site.at("shop.example", "/nothing.png"));
    Ok(())
}

fn a_navigation_that_fails_says_why(browser: &Browser) -> Result<()> {
    let site = Site::answering(|path| match path {
        "/" => Some(html("<a href='/reset'>on</a>")),
        "/nothing" => Some(Reply::status(204)),
        _ => Some(Reply::reset()),
    })?;
    let page = browser.page()?;

    for (url, why) in [
        (site.at("shop.example", "/reset"), "net::ERR_EMPTY_RESPONSE"),
        (site.at("shop.example", "/nothing"), "net::ERR_ABORTED"),
        (site.at("shop.test", "/"), "net::ERR_NAME_NOT_RESOLVED"),
        ("no address".to_owned(), "invalid URL"),
    ] {
        let error = format!("{:#}", page.goto(&url).unwrap_err());
        assert!(error.contains(why) && error.contains(&url), "{error}");
    }
    page.goto(&site.at("shop.example", "/"))?;
    let error = format!("{:#}", page.click_through("a").unwrap_err());
    assert!(error.contains("/reset: net::ERR_EMPTY_RESPONSE"), "{error}");
    Ok(())
}

fn a_page_that_is_too_slow_is_given_up(browser: &Browser) -> Result<()> {
    let site = Site::answering(|path| match path {
        "/" => Some(html("<h1>Here</h1>")),
        "/picture" => Some(html("<img src='/hang'>")),
        _ => Some(Reply::hang()),
    })?;
    let page = browser.page()?.deadline(Duration::from_millis(300));
    for path in ["/hang", "/picture"] {
        let error = format!(
            "{:#}",
            page.goto(&site.at("shop.example", path)).unwrap_err()
        );
        assert!(error.contains("300ms") && error.contains(path), "{error}");
    }
    let error = format!("{:#}", page.wait_for("document.title === 'x'").unwrap_err());
    assert!(error.contains("document.title === 'x'"), "{error}");
    let error = format!("{:#}", page.wait_for_console("nothing").unwrap_err());
    assert!(error.contains("300ms"), "{error}");

    // It can be used further.
    let page = page.deadline(legation_tests::DEADLINE);
    page.goto(&site.at("shop.example", "/"))?;
    assert_eq!(page.text("h1")?, "Here");
    Ok(())
}

fn pages_keep_their_cookies_apart(browser: &Browser) -> Result<()> {
    let site = Site::answering(|path| {
        let page = html("");
        Some(match path {
            "/set" => page.header("set-cookie", "session=1; HttpOnly; SameSite=Lax; Path=/"),
            _ => page,
        })
    })?;
    let [first, second] = [browser.page()?, browser.page()?];

    first.goto(&site.at("shop.example", "/set"))?;
    for page in [&first, &second] {
        page.goto(&site.at("shop.example", "/get"))?;
    }

    let sent = |page: &Page| -> Result<_> {
        let fetch = page.wait_for_request("the answer to /get", |fetch| {
            fetch.url.ends_with("/get") && fetch.headers.contains("host")
        })?;
        Ok(fetch.headers.text("cookie"))
    };
    assert_eq!(sent(&first)?.as_deref(), Some("session=1"));
    assert_eq!(sent(&second)?, None);
    let cookies = first.cookies()?;
    assert_eq!(cookies.len(), 1);
    let cookie = &cookies[0];
    assert_eq!(
        (cookie.name.as_str(), cookie.value.as_str()),
        ("session", "1")
    );
    assert_eq!(cookie.domain, "shop.example");
    assert!(cookie.http_only && !cookie.secure && cookie.expires < 0.0);
    assert_eq!(cookie.same_site.as_deref(), Some("Lax"));
    assert_eq!(second.cookies()?, []);
    let set = first.wait_for_request("the cookie", |fetch| {
        fetch.response_headers.contains("set-cookie")
    })?;
    assert!(set.url.ends_with("/set"), "{set}");
    Ok(())
}

fn a_form_is_filled_and_sent(browser: &Browser) -> Result<()> {
    let site = Site::of(&[
        (
            "/",
            "<form action=/search>
               <input name=q value=old oninput='document.title = this.value'>
               <button>Go</button>
             </form>
             <button id=hidden style='visibility: hidden'>No</button>
             <button id=trusted onclick='this.textContent = event.isTrusted'>?</button>",
        ),
        ("/search?q=it%27s+%22new%22", "<h1>Found</h1>"),
    ])?;
    let page = browser.page()?;
    page.goto(&site.at("shop.example", "/"))?;

    page.click("#trusted")?;
    page.fill("input", "it's \"new\"")?;
    assert_eq!(page.text("#trusted")?, "true");
    assert_eq!(page.evaluate("document.title")?, "it's \"new\"");
    let error = page.click("#hidden").unwrap_err().to_string();
    assert!(
        error.contains("#hidden") && error.contains("hidden, or covered"),
        "{error}"
    );
    page.click_through("form button")?;

    assert_eq!(page.text("h1")?, "Found");
    assert_eq!(
        page.url()?,
        site.at("shop.example", "/search?q=it%27s+%22new%22")
    );
    Ok(())
}

fn it_goes_back_and_loads_again(browser: &Browser) -> Result<()> {
    let site = Site::of(&[
        ("/", "<h1>One</h1><a href='/two'>on</a>"),
        ("/two", "<h1>Two</h1><a href='#there'>down</a>"),
    ])?;
    let page = browser.page()?;
    page.goto(&site.at("shop.example", "/"))?;
    page.click_through("a")?;
    assert_eq!(page.text("h1")?, "Two");

    page.click_through("a")?;
    assert_eq!(page.url()?, site.at("shop.example", "/two#there"));
    page.back()?;
    assert_eq!(page.url()?, site.at("shop.example", "/two"));
    page.back()?;
    assert_eq!(page.text("h1")?, "One");

    page.evaluate("document.querySelector('h1').textContent = 'Spoilt'")?;
    page.reload()?;
    assert_eq!(page.text("h1")?, "One");
    Ok(())
}

fn it_follows_redirects_of_every_kind(browser: &Browser) -> Result<()> {
    let site = Site::answering(|path| {
        Some(match path {
            "/start" => Reply::status(302)
                .header("location", "/script")
                .header("set-cookie", "state=1"),
            "/script" => html("<script>location = '/form'</script>"),
            "/form" => html(
                "<form method=post action=/end></form><script>document.forms[0].submit()</script>",
            ),
            "/end" => html("<h1>End</h1>"),
            _ => return None,
        })
    })?;
    let page = browser.page()?;

    page.goto(&site.at("shop.example", "/start"))?;
    page.wait_for("location.pathname === '/end' && document.readyState === 'complete'")?;

    assert_eq!(page.text("h1")?, "End");
    let requests = page.requests();
    let told: Vec<_> = requests
        .iter()
        .filter(|one| one.kind == "Document")
        .map(|one| {
            (
                one.method.as_str(),
                &one.url[one.url.rfind('/').unwrap()..],
                one.status,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("GET", "/start", Some(302)),
            ("GET", "/script", Some(200)),
            ("GET", "/form", Some(200)),
            ("POST", "/end", Some(200)),
        ]
    );
    Ok(())
}

fn a_policy_that_is_violated_is_told(browser: &Browser) -> Result<()> {
    let site = Site::answering(|path| {
        let page = html(
            "<h1>Safe</h1><script>document.querySelector('h1').textContent = 'Not'</script>
            <script src='http://cdn.example/a.js'></script>",
        );
        (path == "/").then(|| page.header("content-security-policy", "script-src 'none'"))
    })?;
    let page = browser.page()?;

    page.goto(&site.at("shop.example", "/"))?;

    assert_eq!(page.text("h1")?, "Safe");
    let violation = page.wait_for_console("inline script violates")?;
    assert_eq!(
        (violation.source.as_str(), violation.level.as_str()),
        ("security", "error")
    );
    assert!(violation.text.contains("script-src 'none'"), "{violation}");
    assert_eq!(violation.url, site.at("shop.example", "/"));
    let script = page.wait_for_request("the script", |fetch| fetch.failure.is_some())?;
    assert_eq!(script.url, "http://cdn.example/a.js");
    assert_eq!(script.failure.as_deref(), Some("blocked: csp"));
    Ok(())
}

fn a_dialog_does_not_stop_a_page(browser: &Browser) -> Result<()> {
    let site = Site::of(&[(
        "/",
        "<script>alert('hello'); document.title = 'on'</script>",
    )])?;
    let page = browser.page()?;

    page.goto(&site.at("shop.example", "/"))?;

    assert_eq!(page.evaluate("document.title")?, "on");
    let dialog = page.wait_for_console("hello")?;
    assert_eq!(
        (dialog.source.as_str(), dialog.level.as_str()),
        ("dialog", "alert")
    );
    Ok(())
}

fn it_ends_with_everything_that_it_started(_: &Browser) -> Result<()> {
    let browser = Browser::start()?;
    let page = browser.page()?;
    let profile = browser.folder().to_owned();
    assert!(profile.is_dir());

    drop(browser);

    assert!(!profile.exists(), "{} is still there", profile.display());
    #[cfg(target_os = "linux")]
    assert_eq!(
        processes_with(&profile.display().to_string()),
        Vec::<String>::new()
    );
    let error = format!("{:#}", page.evaluate("1").unwrap_err());
    assert!(error.contains("the browser has ended"), "{error}");
    Ok(())
}

#[cfg(target_os = "linux")]
fn processes_with(argument: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    commands
        .filter(|command| command.contains(argument))
        .collect()
}
