//! JSON Schemas of configurations: that the file is what the configuration says, and that
//! it takes and refuses what the filter does.
//!
//! A filter's crate has them by a test of its own, `tests/schema.rs`; `cargo xtask schema`
//! has the same tests write the files:
//!
//! ```text
//! legation_testing::schema!(header_tag::HeaderTag, "header-tag");
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Validator};
use legation::HttpFilter;
use legation::config::schema::JsonSchema;
use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::{Host, readme};

/// Where the schemas are written to, in the place of a look at the files.
pub const WRITE_TO: &str = "LEGATION_SCHEMAS";

/// The tests of a filter's schema: the filter's type, and the name of its module.
#[macro_export]
macro_rules! schema {
    ($filter:ty, $name:literal) => {
        fn schema() -> $crate::schema::Schema<$filter> {
            $crate::schema::Schema::new($name, ::core::env!("CARGO_MANIFEST_DIR"))
        }

        #[test]
        fn the_file_is_what_the_configuration_says() {
            schema().check_file();
        }

        #[test]
        fn what_ships_is_valid() {
            schema().check_what_ships();
        }

        #[test]
        fn mistakes_of_form_are_refused() {
            schema().check_mistakes();
        }
    };
}

/// The schema of a filter's configuration.
pub struct Schema<F> {
    name: &'static str,
    /// The folder of the filter's crate.
    folder: PathBuf,
    document: Value,
    validator: Validator,
    filter: std::marker::PhantomData<F>,
}

impl<F: HttpFilter<Config: JsonSchema>> Schema<F> {
    /// That of a filter, by the name of its module, in the crate at `folder`.
    pub fn new(name: &'static str, folder: &str) -> Self {
        let schema = legation::config::schema::of_filter::<F>(name);
        Self {
            name,
            folder: folder.into(),
            validator: validator(&schema),
            document: schema,
            filter: std::marker::PhantomData,
        }
    }

    /// Looks whether `envoy-config/schemas/NAME.schema.json` is this one, or writes it
    /// where [`WRITE_TO`] says; and whether an editor can show it.
    pub fn check_file(&self) {
        let text = format!("{:#}\n", self.document);
        self.check_words(&self.document, "");
        let file = format!("{}.schema.json", self.name);
        if let Some(folder) = std::env::var_os(WRITE_TO) {
            let path = Path::new(&folder).join(file);
            fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            return;
        }
        let path = self.envoy_config().join("schemas").join(file);
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == text,
            "{} is not what the configuration says: run `cargo xtask schema`",
            path.display()
        );
    }

    /// Every field says what it is, nothing is a link into Rust, and a default is a value
    /// that is taken.
    fn check_words(&self, schema: &Value, at: &str) {
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            let links = text.split("](").skip(1);
            assert!(
                links.into_iter().all(|link| link.starts_with("https://"))
                    && !text.contains("Self::")
                    && !text.contains("crate::"),
                "{at}: {text}"
            );
        }
        if let Some(default) = schema
            .get("default")
            .filter(|_| at.contains("/properties/"))
        {
            let mut own = schema.clone();
            own["definitions"] = self.document["definitions"].clone();
            assert!(validator(&own).is_valid(default), "{at}: {default}");
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                let is_there = ["description", "$ref", "const"];
                let is_said = property.is_boolean()
                    || is_there.iter().any(|key| property.get(key).is_some())
                    || at.contains("/allOf/");
                assert!(is_said, "{at}/properties/{name} has no description");
            }
        }
        match schema {
            Value::Object(keys) => {
                for (key, inner) in keys {
                    self.check_words(inner, &format!("{at}/{key}"));
                }
            }
            Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    self.check_words(inner, &format!("{at}/{index}"));
                }
            }
            _ => {}
        }
    }

    /// Looks whether every configuration is valid that ships and that the filter takes: in
    /// its README, under `envoy-config`, and of its scenarios. Those of plugins it has to
    /// take; other documents may be something else.
    pub fn check_what_ships(&self) {
        let mut seen = 0;
        for file in [self.envoy_config(), self.folder.join("README.md")] {
            for (path, value) in documents(&file) {
                for (configuration, environment) in configurations(&value, self.name) {
                    let taken = Self::take(&configuration, environment);
                    if let Err(lines) = taken {
                        let is_plugins = configuration != value;
                        assert!(!is_plugins, "{}: {lines:#?}", path.display());
                        continue;
                    }
                    self.expect_valid(&configuration, &path);
                    seen += 1;
                }
            }
        }
        for scenario in self.scenarios() {
            if scenario.refused.is_empty()
                && !scenario.configuration.is_string()
                && Self::take(&scenario.configuration, scenario.environment).is_ok()
            {
                self.expect_valid(&scenario.configuration, &scenario.file);
                seen += 1;
            }
        }
        println!("{}: {seen} configurations are valid", self.name);
        assert!(
            seen > 0,
            "nothing that ships has a configuration of {}",
            self.name
        );
    }

    /// What is wrong with a configuration, but for what only its environment knows.
    fn take(
        configuration: &Value,
        mut environment: BTreeMap<String, String>,
    ) -> Result<(), Vec<String>> {
        let host = Host::<F>::new();
        // What a README does not say.
        for name in variables(configuration) {
            environment.entry(name).or_insert_with(|| "x".repeat(64));
        }
        host.set_environment(environment);
        match host.load(configuration.clone()) {
            Ok(_) => Ok(()),
            Err(refused) => {
                let mut lines = refused.lines;
                lines.retain(|line| !line.contains("environment_variable: "));
                if lines.is_empty() { Ok(()) } else { Err(lines) }
            }
        }
    }

    fn expect_valid(&self, configuration: &Value, from: &Path) {
        let errors: Vec<String> = self
            .validator
            .iter_errors(configuration)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{}: {}\n{configuration:#}",
            from.display(),
            errors.join("\n")
        );
        if F::REMOTE_CONFIG {
            self.expect_fetched(configuration, from);
        }
    }

    /// What may stand here may be fetched as well, and not stand beside that.
    fn expect_fetched(&self, configuration: &Value, from: &Path) {
        let remote = json!({
            "http_uri": { "uri": "https://policies.example/p.json", "cluster": "policies" },
            "initial": configuration,
        });
        let mut fetched = json!({ "remote_config": remote });
        assert!(self.validator.is_valid(&fetched), "{}", from.display());
        fetched["remote_config"]["initial"] = json!({ "unknown": 1 });
        assert!(!self.validator.is_valid(&fetched), "{}", from.display());
        let mut both = configuration.clone();
        both["remote_config"] = remote;
        assert!(!self.validator.is_valid(&both), "{}", from.display());
    }

    /// Looks whether those mistakes of the scenarios are refused that are of form: fields
    /// that are unknown or missing, and values of another type.
    pub fn check_mistakes(&self) {
        let (mut found, mut all) = (0, 0);
        for scenario in self.scenarios() {
            if scenario.configuration.is_string() {
                continue;
            }
            let places = self.places(&scenario.configuration);
            for line in &scenario.refused {
                let (place, problem) = line.split_once(": ").unwrap_or(("", line));
                let is_found = places.iter().any(|known| known == place);
                all += 1;
                found += usize::from(is_found);
                let forms = [
                    "unknown field",
                    "missing field",
                    "expected ",
                    "unknown value",
                ];
                let is_of_form = forms.iter().any(|form| problem.starts_with(form));
                assert!(
                    is_found || !is_of_form,
                    "{}: {line}\n{places:#?}",
                    scenario.file.display()
                );
            }
        }
        println!("{}: {found} of {all} mistakes are refused", self.name);
    }

    /// Where something is wrong: as the filter writes it, and all that is around it but
    /// for the whole.
    fn places(&self, configuration: &Value) -> Vec<String> {
        let mut places = Vec::new();
        for error in self.validator.iter_errors(configuration) {
            note(&error, &mut places);
        }
        places
    }

    fn envoy_config(&self) -> PathBuf {
        self.folder.join("../../envoy-config")
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        let folder = self.folder.join("tests/scenarios");
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
            let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error:?}"));
            scenarios.push(scenario);
        }
        scenarios
    }
}

fn note(error: &jsonschema::ValidationError<'_>, places: &mut Vec<String>) {
    let at = written(error.instance_path().as_str());
    let inside = |name: &str| match at.as_str() {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            places.extend(unexpected.iter().map(|name| inside(name)));
        }
        ValidationErrorKind::Required { property } => {
            places.push(inside(property.as_str().unwrap_or_default()));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            for error in context.iter().flatten() {
                note(error, places);
            }
            places.push(at);
        }
        ValidationErrorKind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default().to_owned();
            places.push(inside(&name));
        }
        _ => places.push(at),
    }
}

/// `/rules/0/when` as `rules[0].when`.
fn written(pointer: &str) -> String {
    let mut text = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            text.extend(["[", &step, "]"]);
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&step);
        }
    }
    text
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .build(schema)
        .unwrap_or_else(|error| panic!("{error}\n{schema:#}"))
}

/// The YAML in a file, or in all files below a folder.
fn documents(path: &Path) -> Vec<(PathBuf, Value)> {
    if path.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        return paths.iter().flat_map(|path| documents(path)).collect();
    }
    let kind = path.extension().and_then(|kind| kind.to_str());
    let text =
        || fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let values = match kind {
        Some("md") => readme::configurations(&text()),
        Some("yaml") => serde_saphyr::from_multiple(&text())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        _ => Vec::new(),
    };
    values
        .into_iter()
        .map(|value| (path.to_owned(), value))
        .collect()
}

/// The configurations of a filter in a document, each with its environment: those of all
/// its plugins, or the whole document where there is no plugin in it.
fn configurations(document: &Value, name: &str) -> Vec<(Value, BTreeMap<String, String>)> {
    let mut plugins = Vec::new();
    find_plugins(document, &mut plugins);
    if plugins.is_empty() {
        return vec![(document.clone(), BTreeMap::new())];
    }
    let own = plugins.into_iter().filter(|plugin| {
        let file = plugin.pointer("/vm_config/code/local/filename");
        let file = file.and_then(Value::as_str).map(Path::new);
        let stem = file.and_then(|file| file.file_stem()?.to_str());
        stem.map_or(plugin["name"] == name, |stem| stem == name)
    });
    own.filter_map(|plugin| {
        let value = plugin.pointer("/configuration/value")?.clone();
        let given = plugin.pointer("/vm_config/environment_variables/key_values");
        let given = given.and_then(Value::as_object).into_iter().flatten();
        let environment = given
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let value = match value {
            Value::String(text) => serde_json::from_str(&text).ok()?,
            value => value,
        };
        Some((value, environment))
    })
    .collect()
}

/// The variables that a configuration names.
fn variables(configuration: &Value) -> Vec<String> {
    match configuration {
        Value::String(text) => {
            let formats = text.split("%ENVIRONMENT(").skip(1);
            let names = formats.filter_map(|rest| rest.split([')', ',']).next());
            names.map(str::to_owned).collect()
        }
        Value::Object(fields) => {
            let named = fields.get("environment_variable").and_then(Value::as_str);
            let inside = fields.values().flat_map(variables);
            inside.chain(named.map(str::to_owned)).collect()
        }
        Value::Array(items) => items.iter().flat_map(variables).collect(),
        _ => Vec::new(),
    }
}

fn find_plugins<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            fields.values().for_each(|inner| find_plugins(inner, found));
            if fields.get("vm_config").is_some_and(Value::is_object) {
                found.push(value);
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| find_plugins(inner, found)),
        _ => {}
    }
}
