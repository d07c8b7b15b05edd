//! The shell lines of docs/operations.md, so that tests run what operators read.

use std::{env, fs, path::Path, process::Command};

use crate::process::run;

/// The blocks of shell lines below one heading of the manual, for a machine of ours.
pub(crate) struct Manual {
    blocks: Vec<String>,
    path: String,
}

impl Manual {
    /// The lines below `heading`, down to the next one. Those of the machine's own administration are left to the test: it stops and
    /// starts the service, and creates databases.
    pub(crate) fn read(heading: &str) -> Self {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
        let section = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
        let section = section.split("\n##").next().unwrap();
        let blocks = section.split("```sh\n").skip(1).map(|block| {
            let lines = block.split("```").next().unwrap().lines();
            let lines = lines.filter(|line| !["systemctl ", "createdb "].iter().any(|word| line.starts_with(word)));
            lines.fold(String::new(), |text, line| text + line + "\n")
        });
        Self { blocks: blocks.collect(), path: env::var("PATH").unwrap_or_default() }
    }

    /// With the programs of a directory before all others.
    pub(crate) fn with_programs(mut self, directory: &Path) -> Self {
        self.path = format!("{}:{}", directory.display(), self.path);
        self
    }

    /// With another text in the place of one, which has to be there.
    pub(crate) fn with(mut self, text: &str, ours: &str) -> Self {
        assert!(self.blocks.iter().any(|block| block.contains(text)), "{text} is not in {:?}", self.blocks);
        self.blocks = self.blocks.iter().map(|block| block.replace(text, ours)).collect();
        self
    }

    pub(crate) fn blocks(&self) -> &[String] {
        &self.blocks
    }
}

/// Runs a block with the directory and the variables of a command.
pub(crate) fn shell(like: &Command, manual: &Manual, block: &str) {
    let mut command = Command::new("sh");
    command.args(["-euc", block]).current_dir(like.get_current_dir().unwrap()).env("PATH", &manual.path);
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let finished = run(command);
    assert_eq!(finished.code, 0, "{block}: {finished:?}");
}
