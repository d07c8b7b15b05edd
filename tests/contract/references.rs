//! Which modules and crates a Rust file names, outside of its tests.

use std::{collections::BTreeSet, path::Path};

use syn::{
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// What a path starts with.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reference {
    /// `crate::<module>`, or the same by way of `super`; `*` for the crate's root as a whole.
    Module(String),
    /// Any other first segment, mostly the name of a crate.
    Other(String),
}

/// All that a file names, and which of its modules are tests in files of their own.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) found: BTreeSet<Reference>,
    /// Paths of the modules declared as `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<Vec<String>>,
    /// Path of the module that is being read, from the root of the crate.
    module: Vec<String>,
}

impl References {
    /// Reads a file whose module has this path, such as `["domain", "user"]`; empty for the root.
    pub(crate) fn of(source: &str, module: &[String]) -> syn::Result<Self> {
        let mut references = Self { module: module.to_vec(), ..Self::default() };
        references.visit_file(&syn::parse_file(source)?);
        Ok(references)
    }

    /// Notes a path of names, `*` for a glob.
    fn note(&mut self, path: &[String]) {
        // How many modules up from this one the rest of the path starts; all of them for `crate`.
        let mut up = 0;
        let mut rest = path;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => up = self.module.len(),
                "super" => up += 1,
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        let relative = rest.len() < path.len();
        let first = rest.first().cloned();
        match first {
            Some(first) if !relative => self.found.insert(Reference::Other(first)),
            first if up >= self.module.len() => {
                self.found.insert(Reference::Module(first.unwrap_or_else(|| "*".to_owned())))
            }
            _ => false,
        };
    }

    /// Path of the module that the file of a `mod name;` seems to hold, going by the file's name.
    fn file_of(&self, item: &syn::ItemMod) -> Vec<String> {
        let path = item.attrs.iter().find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
                _ => None,
            },
            _ => None,
        });
        match path {
            // Relative to the directory of this file.
            Some(path) => {
                let directory = self.module.split_last().map_or(&[][..], |(_, directory)| directory);
                [directory, &names(Path::new(&path))].concat()
            }
            None => [self.module.as_slice(), &[item.ident.to_string()]].concat(),
        }
    }

    fn use_tree(&mut self, prefix: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.use_tree(prefix, &path.tree);
                prefix.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(prefix, tree)),
            syn::UseTree::Glob(_) => self.use_name(prefix, "*".to_owned()),
            syn::UseTree::Name(name) => self.use_name(prefix, name.ident.to_string()),
            syn::UseTree::Rename(rename) => self.use_name(prefix, rename.ident.to_string()),
        }
    }

    fn use_name(&mut self, prefix: &mut Vec<String>, name: String) {
        prefix.push(name);
        self.note(prefix);
        prefix.pop();
    }

    /// Finds paths among tokens that are not parsed: the arguments of macros and attributes.
    fn tokens(&mut self, mut cursor: Cursor<'_>) {
        while !cursor.eof() {
            if let Some((inside, _, _, after)) = cursor.any_group() {
                self.tokens(inside);
                cursor = after;
            } else if let Some((path, after)) = path_at(cursor) {
                self.note(&path);
                cursor = after;
            } else if let Some((literal, after)) = cursor.literal() {
                // `#[serde(with = "crate::store::column")]`
                if let Ok(path) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    .and_then(|text| text.parse_with(syn::Path::parse_mod_style))
                {
                    self.visit_path(&path);
                }
                cursor = after;
            } else {
                let Some((_, after)) = cursor.token_tree() else { return };
                cursor = after;
            }
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_cfg_test) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(item) = item
            && item.content.is_none()
        {
            self.test_modules.push(self.file_of(item));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&mut Vec::new(), &item.tree);
        visit::visit_item_use(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single name is a local one, or was imported by a `use` that is read above.
        if path.segments.len() > 1 {
            let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.note(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(TokenBuffer::new2(item.tokens.clone()).begin());
        visit::visit_macro(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) => self.tokens(TokenBuffer::new2(list.tokens.clone()).begin()),
            _ => visit::visit_attribute(self, attribute),
        }
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
}

/// The path of at least two names that starts at the cursor, and what comes after it.
fn path_at(cursor: Cursor<'_>) -> Option<(Vec<String>, Cursor<'_>)> {
    let (first, mut cursor) = cursor.ident()?;
    let mut path = vec![first.to_string()];
    while let Some((name, after)) = double_colon(cursor).and_then(Cursor::ident) {
        path.push(name.to_string());
        cursor = after;
    }
    (path.len() > 1).then_some((path, cursor))
}

fn double_colon(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, cursor) = cursor.punct()?;
    let (second, cursor) = cursor.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(cursor)
}

/// Path of the module that a file holds: `src/domain/user.rs` is `["domain", "user"]`, `src/lib.rs` the root.
pub(crate) fn module_of(file: &Path) -> Vec<String> {
    let module = names(file.strip_prefix("src").unwrap());
    if module == ["lib"] { Vec::new() } else { module }
}

/// The names a path is made of, the last without its extension.
fn names(path: &Path) -> Vec<String> {
    path.with_extension("").iter().map(|name| name.to_str().unwrap().to_owned()).collect()
}
