//! The configurations that a README shows, so that tests run what users copy.

use serde_json::Value;

/// The blocks of YAML in it, as they stand there.
pub fn blocks(readme: &str) -> impl Iterator<Item = &str> {
    let blocks = readme.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or(rest))
}

/// The blocks of YAML in it. Panics where one is none.
pub fn configurations(readme: &str) -> Vec<Value> {
    blocks(readme)
        .map(|block| {
            serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{block}\n{error}"))
        })
        .collect()
}

/// The first configuration below a title under `## Recipes`. Panics where there is none.
pub fn recipe(readme: &str, title: &str) -> Value {
    let recipe = readme
        .split_once("\n## Recipes\n")
        .and_then(|(_, recipes)| recipes.split_once(&format!("\n### {title}\n")))
        .and_then(|(_, recipe)| recipe.split("\n### ").next());
    let found = recipe.and_then(|recipe| configurations(recipe).into_iter().next());
    found.unwrap_or_else(|| panic!("no recipe `{title}` with a configuration"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{blocks, configurations, recipe};

    const README: &str =
        "```yaml\na: 1\n```\n    b: 2\n## Recipes\n### One\n### Two\n```yaml\nc: 3\n```\n";

    #[test]
    fn blocks_of_yaml_are_configurations() {
        assert_eq!(blocks(README).collect::<Vec<_>>(), ["a: 1\n", "c: 3\n"]);
        assert_eq!(configurations(README), [json!({"a": 1}), json!({"c": 3})]);
        assert_eq!(recipe(README, "Two"), json!({"c": 3}));
    }

    #[test]
    #[should_panic(expected = "no recipe `One` with a configuration")]
    fn a_recipe_is_not_that_of_the_next_title() {
        recipe(README, "One");
    }
}
