//! The cause of an end as it is told: what the target's own cluster shows before what Argo
//! CD says of it, and each line once.

use super::beside::Beside;
use crate::error::Problem;

/// What Argo CD told, as the pods tell it, where they do.
pub(super) async fn better(beside: Option<&mut Beside>, problem: Problem) -> Problem {
    let Some(beside) = beside else { return problem };
    match beside.last_look().await {
        Some(seen) => joined(seen, &problem),
        None => problem,
    }
}

/// The cause that the pods tell, and below it what Argo CD says besides.
fn joined(seen: Problem, problem: &Problem) -> Problem {
    let told = seen.evidence();
    let besides = problem.evidence().into_iter();
    let besides = besides.filter(|line| !told.contains(line));
    let besides: Vec<String> = besides.collect();
    seen.detail(format!("Argo CD: {problem}")).details(besides)
}

/// What Argo CD last knew says nothing of a cluster that does not answer.
pub(super) async fn silent(beside: Option<&Beside>) -> Option<Problem> {
    Some(offline(beside?.silent().await?))
}

/// The problem that this is.
pub(super) fn offline(why: String) -> Problem {
    Problem::new("its cluster does not answer: nobody knows what it serves").detail(why)
}

#[cfg(test)]
mod tests {
    use super::joined;
    use crate::error::Problem;

    #[test]
    fn what_the_pods_told_stands_once() {
        let seen = Problem::new("Deployment api: container api crashed")
            .detail("exit code 3")
            .detail("last seen by Argo CD, too");
        let theirs = Problem::new("Deployment shop/api is degraded: exceeded its deadline")
            .detail("last seen by Argo CD, too")
            .detail("SyncError: it is retried");
        assert_eq!(
            joined(seen, &theirs).evidence(),
            [
                "exit code 3",
                "last seen by Argo CD, too",
                "Argo CD: Deployment shop/api is degraded: exceeded its deadline",
                "SyncError: it is retried",
            ]
        );
    }
}
