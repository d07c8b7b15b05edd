use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn code_for(project_name: &str, valid_minutes: i64, locale: Option<&str>) -> RenderedMail {
    render(&Message::EmailVerificationCode {
        code: "012345".to_owned(),
        project_name: project_name.to_owned(),
        valid_minutes,
        locale: locale.map(str::to_owned),
    })
}

#[test]
fn the_text_says_what_for_how_long_and_what_if_unasked() {
    let mail = code_for("Acme", 10, None);
    insta::assert_snapshot!(mail.subject, @"Your verification code for Acme");
    insta::assert_snapshot!(mail.text, @r"
    This is your code to verify your email address for Acme:

        012345

    Enter it where you were asked for it. It is valid for 10 minutes and works once.

    Do not pass it on: nobody from Acme will ever ask you for it.

    If you did not ask for this code, you can ignore this mail. Somebody may have typed your address by mistake; without the code they cannot verify it.
    ");
}

#[test]
fn the_html_says_the_same_and_escapes_names() {
    insta::assert_snapshot!(code_for(r#"Tom & "Jerry's" <b>"#, 1, Some("en-GB")).html, @r#"
    <!DOCTYPE html>
    <html lang="en" dir="ltr">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Your verification code for Tom &amp; &quot;Jerry&#39;s&quot; &lt;b&gt;</title>
    </head>
    <body style="margin:0 auto;max-width:32em;padding:1.5em;font-family:sans-serif;font-size:16px;line-height:1.5">
    <p>This is your code to verify your email address for Tom &amp; &quot;Jerry&#39;s&quot; &lt;b&gt;:</p>
    <p style="font-family:monospace;font-size:32px;font-weight:bold;letter-spacing:0.15em">012345</p>
    <p>Enter it where you were asked for it. It is valid for 1 minute and works once.</p>
    <p>Do not pass it on: nobody from Tom &amp; &quot;Jerry&#39;s&quot; &lt;b&gt; will ever ask you for it.</p>
    <p>If you did not ask for this code, you can ignore this mail. Somebody may have typed your address by mistake; without the code they cannot verify it.</p>
    </body>
    </html>
    "#);
}

#[rstest]
#[case(None)]
#[case(Some("en"))]
#[case(Some("EN-us"))]
#[case(Some("en_GB"))]
#[case(Some("tlh"))]
#[case(Some(""))]
#[case(Some("-"))]
#[case(Some("en\r\nBcc: eve@example.com"))]
fn every_locale_has_words(#[case] locale: Option<&str>) {
    assert_eq!(code_for("Acme", 10, locale).language, "en");
}

#[rstest]
#[case("Acme\r\nBcc: eve@example.com", "Acme Bcc: eve@example.com")]
#[case("Acme\n\nYour account is closed.\n", "Acme Your account is closed.")]
#[case("\u{202E}emcA", "emcA")]
#[case("Ac\0me\u{85}\u{2028}Inc", "Ac me Inc")]
#[case("A\u{200B}c\u{FEFF}me", "Acme")]
#[case("\r\n\t", "Signet")]
fn a_project_name_stays_on_its_line(#[case] name: &str, #[case] shown: &str) {
    assert_eq!(code_for(name, 10, None).subject, format!("Your verification code for {shown}"));
}

fn reset_code_for(project_name: &str) -> RenderedMail {
    let (code, project_name) = ("012345".to_owned(), project_name.to_owned());
    render(&Message::PasswordResetCode { code, project_name, valid_minutes: 10, locale: None })
}

fn reset_link_for(project_name: &str, link: &str) -> RenderedMail {
    let (link, project_name) = (link.to_owned(), project_name.to_owned());
    render(&Message::PasswordResetLink { link, project_name, valid_minutes: 30, locale: Some("de".into()) })
}

#[test]
fn a_reset_by_code_says_what_for_how_long_and_what_if_unasked() {
    let mail = reset_code_for("Acme");
    assert_eq!((mail.code.as_deref(), mail.link), (Some("012345"), None));
    insta::assert_snapshot!(mail.subject, @"Your code for a new password at Acme");
    insta::assert_snapshot!(mail.text, @r"
    This is your code to set a new password at Acme:

        012345

    Enter it where you asked for a new password. It is valid for 10 minutes and works once.

    Do not pass it on: whoever has it can take over your account. Nobody from Acme will ever ask you for it.

    If you did not ask for a new password, you can ignore this mail: your password stays as it is as long as nobody else has the code.
    ");
}

#[test]
fn a_reset_by_link_says_what_for_how_long_and_what_if_unasked() {
    let mail = reset_link_for("Acme", "https://app.example/reset?a=1&token=signet_pr_x");
    assert_eq!((mail.code, mail.link.as_deref()), (None, Some("https://app.example/reset?a=1&token=signet_pr_x")));
    insta::assert_snapshot!(mail.subject, @"Set a new password at Acme");
    insta::assert_snapshot!(mail.text, @r"
    With this link you can set a new password at Acme:

        https://app.example/reset?a=1&token=signet_pr_x

    It is valid for 30 minutes and works once. Opening it changes nothing until you have chosen a new password.

    Do not pass this mail on: whoever has the link can take over your account.

    If you did not ask for a new password, you can ignore this mail: your password stays as it is as long as nobody else has the link.
    ");
}

#[test]
fn the_html_carries_the_link_escaped_and_shows_where_it_leads() {
    let mail = reset_link_for("<Acme>", r#"https://app.example/r?a="><script>&b='"#);
    assert!(!mail.html.contains("<script>") && !mail.html.contains("<Acme>"));
    let escaped = "https://app.example/r?a=&quot;&gt;&lt;script&gt;&amp;b=&#39;";
    let line = format!(r#"<p style="overflow-wrap:anywhere"><a href="{escaped}">{escaped}</a></p>"#);
    assert!(mail.html.contains(&line), "{}", mail.html);
    assert_eq!(mail.html.matches("<a ").count(), 1, "no other link");
    assert!(mail.text.contains(r#"    https://app.example/r?a="><script>&b='"#));
}

#[test]
fn no_link_breaks_out_of_its_line() {
    let mail = reset_link_for("Acme", "https://app.example/\r\n\nCall +1 202 555 0123\u{202E}");
    assert_eq!(mail.text.lines().count(), reset_link_for("Acme", "https://app.example/").text.lines().count());
}

#[test]
fn debug_shows_no_secret() {
    let link = "https://app.example/?token=signet_pr_x";
    for mail in [code_for("Acme", 10, None), reset_code_for("Acme"), reset_link_for("Acme", link)] {
        let text = format!("{mail:?}");
        assert!(!text.contains("012345") && !text.contains("signet_pr_"), "{text}");
    }
}

proptest! {
    #[test]
    fn no_name_breaks_out(name in "(\\PC|[\r\n\t<>&\"'\0\u{85}\u{2028}]){0,60}") {
        let mail = code_for(&name, 10, None);
        prop_assert!(!mail.subject.contains(char::is_control));
        prop_assert_eq!(mail.text.lines().count(), code_for("Acme", 10, None).text.lines().count());
        let tags = |html: &str| html.matches(['<', '>']).count();
        prop_assert_eq!(tags(&mail.html), tags(&code_for("Acme", 10, None).html));
    }
}
