//! Mistakes in deploy.toml, with their place and hint.

use super::*;

#[test]
fn mistakes_are_told_with_their_place_and_the_fix() {
    for (document, line) in [
        (
            "[defaults]\ntiemout = \"10m\"",
            "2:1: unknown key 'tiemout' in [defaults]; did you mean timeout?",
        ),
        (
            "[defaults]\n  on-failure = \"keep\"",
            "2:3: unknown key 'on-failure' in [defaults]; did you mean on_failure?",
        ),
        (
            "[default]\n",
            "1:2: unknown key 'default' in the file; did you mean defaults?",
        ),
        (
            "[defaults]\ntimeout = 600",
            "2:11: defaults.timeout is the number 600, expected a duration above zero, such as \"10m\" or \"1h30m\"",
        ),
        (
            "[defaults]\ntimeout = \"600\"",
            "2:11: defaults.timeout is '600', expected a duration",
        ),
        (
            "[defaults]\ntimeout = \"0s\"",
            "2:11: defaults.timeout is '0s', expected a duration above zero",
        ),
        (
            "[defaults]\non_failure = \"rolback\"",
            "2:14: defaults.on_failure is 'rolback', expected \"rollback\" or \"keep\"",
        ),
        (
            "[defaults]\non_failure = true",
            "2:14: defaults.on_failure is true, expected",
        ),
        (
            "[defaults]\nowners = \"acme\"",
            "2:10: defaults.owners is a text, expected a list: [\"…\"], each a GitHub login",
        ),
        (
            "[defaults]\nowners = [\"a b\"]",
            "2:11: an entry of defaults.owners is 'a b', expected a GitHub login",
        ),
        (
            "[defaults]\nevents = [\"push\", \"pull_request_target\"]",
            "2:19: an entry of defaults.events is 'pull_request_target', expected a GitHub event such as \"push\"; pull_request… and merge_group can never deploy",
        ),
        ("[defaults]\nevents = [\"merge_group\"]", "can never deploy"),
        (
            "[defaults]\nkubeconfig = \"~/.kube/config\"",
            "2:14: defaults.kubeconfig is '~/.kube/config', expected a path, absolute or from this file's directory ('~' is not expanded)",
        ),
        (
            "[defaults]\ninherit_env = [\"DEPLOY_CONFIG\"]",
            "(DEPLOY_… cannot be inherited)",
        ),
        (
            "[defaults]\nevidence = { kep = \"1d\" }",
            "2:14: unknown key 'kep' in [defaults.evidence]; did you mean keep?",
        ),
        (
            "[defaults]\nevidence.max = \"lots\"",
            "2:16: defaults.evidence.max is 'lots', expected a size such as \"200MB\" or \"1GiB\"",
        ),
        (
            "defaults = 1",
            "1:12: defaults is the number 1, expected a table",
        ),
        (
            "[apps]\nshop = \"x\"",
            "2:8: apps.shop is a text, expected a table",
        ),
        (
            "[apps.Shop]",
            "1:7: 'Shop' is not an app, expected the application's name: at most 53 lower-case letters, digits and '-'",
        ),
        (
            "[apps.shop]\nnamespace = \"Prod\"",
            "2:13: apps.shop.namespace is 'Prod', expected a namespace: at most 63",
        ),
        (
            "[apps.shop]\nrelease = \"shop.\"",
            "2:11: apps.shop.release is 'shop.', expected a release",
        ),
        (
            "[apps.shop]\nchart = \"oci://ghcr.io/acme/shop\"",
            "expected oci://ghcr.io/<owner>/charts/<chart>",
        ),
        (
            "[apps.shop]\nvalues = [\"\"]",
            "2:11: an entry of apps.shop.values is ''",
        ),
        (
            "[apps.shop]\nimages.api = \"api.image\"",
            "2:14: apps.shop.images.api is a text, expected a list: [\"…\"], each a value path such as \"api.image\"",
        ),
        (
            "[apps.shop]\nimages.api = { repo = \"a.b\" }",
            "unknown key 'repo' in [apps.shop.images.api]",
        ),
        (
            "[apps.shop]\nimages.api = {}",
            "apps.shop.images.api names no part, expected repository, tag, digest or registry",
        ),
        (
            "[apps.shop]\nimages.api = [\"api..image\"]",
            "2:15: an entry of apps.shop.images.api is 'api..image'",
        ),
        (
            "[apps.shop]\nimages.\"1x\" = []",
            "2:8: '1x' is not an image key",
        ),
        (
            "[apps.shop]\nrequired = [\"a b\"]",
            "expected an image key such as \"cron\"",
        ),
        (
            "[apps.shop]\nrequired = [\"cron\"]\nabsent = [\"cron\"]",
            "1:7: the image key cron stands in required and in absent; take it out of one of them",
        ),
        (
            "[apps.shop]\nallow_images = [\"nginx\"]",
            "expected ghcr.io/<owner>/<path>",
        ),
        (
            "[apps.shop]\nbackward = \"unix:/x\"",
            "2:1: unknown key 'backward' in [apps.shop]; [apps.shop] takes namespace, release,",
        ),
        (
            "[defaults]\nforward = \"http://10.0.0.5:8080\"",
            "2:11: defaults.forward is 'http://10.0.0.5:8080', expected an address of this machine",
        ),
        (
            "[defaults]\nforward = \"https://a.example\"",
            "expected { url = \"https://…\", token_file = \"…\" }: over a network it needs a token",
        ),
        (
            "[defaults]\nforward = { url = \"https://a.example\" }",
            "2:11: defaults.forward is a table, expected a token_file beside an https url",
        ),
        (
            "[defaults]\nforward = { url = \"http://10.0.0.5\", token_file = \"t\" }",
            "expected an address of this machine for http",
        ),
        (
            "[defaults]\nforward = { command = [] }",
            "expected a command of at least one word",
        ),
        (
            "[defaults]\nforward = { command = [\"a\"], url = \"unix:/x\" }",
            "expected { command = […] } or { url =",
        ),
        (
            "[defaults]\nforward = { comand = [\"a\"] }",
            "2:13: unknown key 'comand' in [defaults.forward]; did you mean command?",
        ),
        (
            "[apps.shop]\nforward = true",
            "2:11: apps.shop.forward is true, expected \"unix:/path\"",
        ),
        (
            "[defaults]\nnamespace = \"x\"",
            "2:1: unknown key 'namespace' in [defaults]",
        ),
        (
            "[env]\nKUBECONFIG = \"/x\"",
            "2:1: env.KUBECONFIG has a key of its own; set the key kubeconfig instead",
        ),
        (
            "[env]\nHELM_NAMESPACE = \"x\"",
            "set the key namespace of [apps.<app>] instead",
        ),
        (
            "[env]\nHELM_KUBETOKEN = \"x\"",
            "would point helm at another cluster than deploy itself uses; put it into the kubeconfig",
        ),
        (
            "[env]\nDEPLOY_TIMEOUT = \"x\"",
            "env.DEPLOY_TIMEOUT is never given to helm; remove it",
        ),
        ("[env]\n\"A B\" = \"x\"", "env.\"A B\" is not a variable"),
        (
            "[defaults]\ntimeout = \"1m\"\ntimeout = \"2m\"",
            "3:1: duplicate key",
        ),
        ("[defaults\n", "1:10: "),
        ("ä = [\n", ":"),
    ] {
        let lines = told(document);
        assert!(lines[0].contains(line), "{document}\n{lines:#?}");
    }
}

#[test]
fn every_mistake_is_told_in_order() {
    let lines =
        told("[apps.shop]\nrelase = \"x\"\nnamespace = 1\n[env]\nA = 1\n[defaults]\ntimeout = 1\n");
    let places: Vec<&str> = lines
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["2:1", "3:13", "5:1", "7:11"]);
    let many = (0..100).fold(String::new(), |all, number| {
        all + &format!("x{number} = 1\n")
    });
    let lines = told(&many);
    assert_eq!(lines.len(), 22);
    assert_eq!(lines.last().unwrap(), "… and 79 more");
}

#[test]
fn a_value_of_env_is_never_shown() {
    for document in [
        "[env]\nP = 31337",
        "[env]\nP = [\"s3cret\"]",
        "[env]\nP = { s3cret = 1 }",
        "env = \"s3cret\"",
        "env = [\"s3cret\"]",
        "[env]\nKUBECONFIG = \"s3cret\"",
        "[env]\nP = \"s3cret\\u0000\"",
        "[env]\nP = \"s3cret",
        "[env]\nP = s3cret",
        "[env]\nP = \"s3cret\"\nP = \"s3cret\"",
        "[env]\nP = 's3cret' s3cret",
    ] {
        let error = parse(document).unwrap_err();
        let whole = format!(
            "{error} {error:?} {:?} {:?}",
            error.evidence(),
            error.hints()
        );
        assert!(
            !whole.contains("s3cret") && !whole.contains("31337"),
            "{whole}"
        );
    }
}

/// Case E2: a deploy that still runs never counts as dead.
#[test]
fn a_stale_after_that_is_too_small_is_refused() {
    for (document, words) in [
        (
            "[defaults]\nstale_after = \"10s\"",
            "2:1: defaults.stale_after is 10s, but a deploy can take longer: expected at least 22m",
        ),
        (
            "[defaults]\ntimeout = \"1h\"\nrollback_timeout = \"10m\"\nstale_after = \"1h\"",
            "4:1: defaults.stale_after is 1h, but a deploy can take longer: expected at least 1h12m",
        ),
        (
            "[apps.shop]\ntimeout = \"1m\"\nstale_after = \"3m\"",
            "3:1: apps.shop.stale_after is 3m, but a deploy can take longer: expected at least 4m",
        ),
        (
            "[defaults]\nstale_after = \"30m\"\n[apps.shop]\ntimeout = \"20m\"",
            "2:1: defaults.stale_after is 30m, but a deploy of shop can take longer: expected at least 42m",
        ),
    ] {
        let lines = told(document);
        assert!(lines[0].contains(words), "{document}\n{lines:#?}");
        assert_eq!(lines.len(), 1, "{lines:#?}");
    }
    for document in [
        "[defaults]\nstale_after = \"22m\"",
        "[defaults]\ntimeout = \"5h\"",
        "[defaults]\nstale_after = \"30m\"\n[apps.shop]\ntimeout = \"10m\"",
    ] {
        assert!(parse(document).is_ok(), "{document}");
    }
}

/// Case D3: two apps never have one release.
#[test]
fn two_apps_of_one_release_are_refused() {
    for (document, words) in [
        (
            "[apps.a]\nnamespace = \"n\"\nrelease = \"r\"\n[apps.b]\nnamespace = \"n\"\nrelease = \"r\"",
            "4:7: the apps a and b have one release, r in the namespace n; give each",
        ),
        (
            "[apps.shop]\n[apps.web]\nnamespace = \"shop\"\nrelease = \"shop\"",
            "2:7: the apps shop and web have one release, shop in the namespace shop",
        ),
    ] {
        let lines = told(document);
        assert!(lines[0].contains(words), "{document}\n{lines:#?}");
    }
    for document in [
        "[apps.a]\nnamespace = \"n\"\n[apps.b]\nnamespace = \"n\"",
        "[apps.a]\nrelease = \"r\"\n[apps.b]\nrelease = \"r\"",
        "[defaults]\nforward = \"unix:/x\"\n[apps.a]\nnamespace = \"n\"\nrelease = \"r\"\n[apps.b]\nnamespace = \"n\"\nrelease = \"r\"",
    ] {
        assert!(parse(document).is_ok(), "{document}");
    }
}
