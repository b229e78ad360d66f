//! `README.md` shows the whole of a small connector: the very file that is compiled and held to the suite here.

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("example/endoflife.rs");

/// The code blocks of a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).filter_map(|rest| rest.split_once("```").map(|(code, _)| code)).collect()
}

#[test]
fn the_connector_in_the_readme_is_the_one_that_is_tested() {
    let shown = blocks("rust");
    assert!(shown.contains(&EXAMPLE), "copy tests/it/example/endoflife.rs into README.md as it is");
}

#[test]
fn the_case_in_the_readme_is_the_one_that_is_tested() {
    let case = include_str!("example/mod.rs");
    let shown = blocks("rust").into_iter().find(|code| code.starts_with("pub static CASE")).expect("the case is shown");
    assert!(case.contains(shown), "copy the case of tests/it/example/mod.rs into README.md as it is");
}
