//! What the guide quotes is what CI runs.

const GUIDE: &str = include_str!("../../../docs/guide/authentication.md");

/// Language of the block, and the file that it quotes.
const WEBHOOKS: [(&str, &str); 3] = [
    (
        "js",
        include_str!("../../../examples/webhook/node/webhook.mjs"),
    ),
    (
        "python",
        include_str!("../../../examples/webhook/python/webhook.py"),
    ),
    (
        "rust",
        include_str!("../../../examples/webhook/rust/webhook.rs"),
    ),
];

#[test]
fn the_guide_quotes_the_webhooks_that_are_run() {
    for (language, file) in WEBHOOKS {
        let block = format!("\n```{language}\n{file}```\n");
        let found = GUIDE.matches(&block).count();
        assert_eq!(
            found, 1,
            "docs/guide/authentication.md quotes another webhook than examples/webhook has: {language}"
        );
    }
}
