//! Reads of the database that calls share. Of many calls at once most begin with the same question: who is the client
//! that makes them? If each asked it for itself, a crowd that begins all at once would have the database to itself.
//!
//! Nothing is kept: whoever asks what is being read already is told by the next read, which begins after it asked. So a
//! call sees whatever was changed before it, as if it had read by itself.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};

/// How long anybody waits for what others read before it reads by itself: longer than a read takes, with the wait for a
/// connection, unless the database is in trouble; and short beside the time of a call, should the connection of another
/// one be dead.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What can be read for several calls at once. A trait, because whoever reads for others goes on when its call is gone,
/// and takes nothing with it that is borrowed.
pub trait Question: Clone + Eq + Hash + Send + Sync + 'static {
    /// Where it is read.
    type Source: Clone + Send + Sync + 'static;
    /// What is found, which each of the calls gets.
    type Found: Clone + Send + 'static;
    /// Why a read fails.
    type Error: Send;

    /// Reads it.
    fn read(&self, source: &Self::Source) -> impl Future<Output = Result<Self::Found, Self::Error>> + Send;
}

/// Reads that are under way.
pub struct SharedReads<Q: Question>(Arc<Mutex<Lines<Q>>>);

type Lines<Q> = HashMap<Q, Line<<Q as Question>::Found>>;

/// A read that is under way, and those who came after it began.
struct Line<F> {
    began: Instant,
    waiting: Vec<oneshot::Sender<F>>,
}

/// How somebody who asks is answered.
enum Place<F> {
    /// Nobody reads that: whoever asks does.
    First,
    /// By the next read.
    Next(oneshot::Receiver<F>),
    /// By itself, because the read that is under way takes too long.
    Alone,
}

impl<Q: Question> Default for SharedReads<Q> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Q: Question> SharedReads<Q> {
    /// What is found: by a read that begins now or later. Why it fails is everybody's own to find out.
    pub(super) async fn read(&self, source: &Q::Source, question: Q) -> Result<Q::Found, Q::Error> {
        match self.line_up(&question) {
            Place::First => {
                let turn = Turn { lines: Arc::clone(&self.0), question: question.clone() };
                let _lead = Lead { source, turn: Some(turn) };
                question.read(source).await
            }
            Place::Next(told) => match timeout(WAIT_MAX, told).await {
                Ok(Ok(found)) => Ok(found),
                _ => question.read(source).await,
            },
            Place::Alone => question.read(source).await,
        }
    }

    fn line_up(&self, question: &Q) -> Place<Q::Found> {
        let mut lines = lock(&self.0);
        let Some(line) = lines.get_mut(question) else {
            lines.insert(question.clone(), Line { began: Instant::now(), waiting: Vec::new() });
            return Place::First;
        };
        if line.began.elapsed() > WAIT_MAX {
            return Place::Alone;
        }
        let (teller, told) = oneshot::channel();
        line.waiting.push(teller);
        Place::Next(told)
    }
}

fn lock<K, V>(lines: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    // Nothing that is done under the lock panics halfway.
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The read that is under way. Once it is dropped there is none.
struct Turn<Q: Question> {
    lines: Arc<Mutex<Lines<Q>>>,
    question: Q,
}

impl<Q: Question> Turn<Q> {
    /// The next read begins: gives those it is for, if any of them is still there.
    fn next(&self) -> Option<Vec<oneshot::Sender<Q::Found>>> {
        let mut lines = lock(&self.lines);
        let line = lines.get_mut(&self.question)?;
        line.waiting.retain(|teller| !teller.is_closed());
        line.began = Instant::now();
        Some(std::mem::take(&mut line.waiting)).filter(|waiting| !waiting.is_empty())
    }

    /// Reads for those who wait, until nobody does. After [`WAIT_MAX`] all for whom a read is have given up.
    async fn serve(self, source: Q::Source, mut waiting: Vec<oneshot::Sender<Q::Found>>) {
        loop {
            if let Ok(Ok(found)) = timeout(WAIT_MAX, self.question.read(&source)).await {
                for teller in waiting {
                    // Whoever has gone away needs no answer.
                    let _ = teller.send(found.clone());
                }
            }
            let Some(next) = self.next() else { return };
            waiting = next;
        }
    }
}

impl<Q: Question> Drop for Turn<Q> {
    fn drop(&mut self) {
        let line = lock(&self.lines).remove(&self.question);
        // Those who came in the last moment see that nobody will tell them. Not under the lock.
        drop(line);
    }
}

/// A call that reads for itself, and when it is done or goes away, lets others read who came meanwhile.
struct Lead<'a, Q: Question> {
    source: &'a Q::Source,
    /// Until it is dropped.
    turn: Option<Turn<Q>>,
}

impl<Q: Question> Drop for Lead<'_, Q> {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let Some(waiting) = turn.next() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(turn.serve(self.source.clone(), waiting));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{sync::Semaphore, task::JoinSet};

    use super::*;

    /// What is read: how many reads began. Each ends when it is let.
    #[derive(Clone)]
    struct Book {
        began: Arc<AtomicU32>,
        ends: Arc<Semaphore>,
    }

    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    enum Page {
        Number(u32),
        Missing,
    }

    impl Question for Page {
        type Source = Book;
        type Found = u32;
        type Error = u32;

        async fn read(&self, book: &Book) -> Result<u32, u32> {
            let began = book.began.fetch_add(1, Ordering::Relaxed) + 1;
            book.ends.acquire().await.unwrap().forget();
            if *self == Self::Missing { Err(began) } else { Ok(began) }
        }
    }

    struct Library {
        reads: Arc<SharedReads<Page>>,
        book: Book,
        answers: JoinSet<Result<u32, u32>>,
    }

    impl Library {
        fn closed() -> Self {
            let book = Book { began: Arc::default(), ends: Arc::new(Semaphore::new(0)) };
            Self { reads: Arc::new(SharedReads::default()), book, answers: JoinSet::new() }
        }

        /// Somebody asks, and has been heard.
        async fn ask(&mut self, page: Page) -> tokio::task::AbortHandle {
            let (reads, book) = (Arc::clone(&self.reads), self.book.clone());
            let asked = self.answers.spawn(async move { reads.read(&book, page).await });
            tokio::task::yield_now().await;
            asked
        }

        fn began(&self) -> u32 {
            self.book.began.load(Ordering::Relaxed)
        }

        async fn until_began(&self, reads: u32) {
            until(|| self.began() >= reads).await;
        }

        /// All answers, in order of their numbers.
        async fn open(&mut self) -> Vec<Result<u32, u32>> {
            self.book.ends.add_permits(100);
            let mut answers = Vec::new();
            while let Some(answer) = self.answers.join_next().await {
                answers.extend(answer.ok());
            }
            answers.sort_unstable();
            until(|| lock(&self.reads.0).is_empty()).await;
            self.book.ends.forget_permits(100);
            answers
        }
    }

    async fn until(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_mins(1), "it never comes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    const PAGE: Page = Page::Number(1);

    #[tokio::test]
    async fn whoever_comes_while_it_is_being_read_is_told_by_the_next_read() {
        let mut library = Library::closed();
        for _ in 0..5 {
            library.ask(PAGE).await;
        }
        library.ask(Page::Number(2)).await;
        assert_eq!(library.began(), 2, "one for each page");
        let answers = library.open().await;
        assert_eq!(answers, [Ok(1), Ok(2), Ok(3), Ok(3), Ok(3), Ok(3)]);
        library.ask(PAGE).await;
        assert_eq!(library.open().await, [Ok(4)], "nothing is kept");
    }

    #[tokio::test]
    async fn whoever_comes_while_it_is_read_for_others_is_told_by_the_read_after_that() {
        let mut library = Library::closed();
        library.ask(PAGE).await;
        library.ask(PAGE).await;
        library.book.ends.add_permits(1);
        library.until_began(2).await;
        library.ask(PAGE).await;
        library.ask(PAGE).await;
        assert_eq!(library.began(), 2);
        assert_eq!(library.open().await, [Ok(1), Ok(2), Ok(3), Ok(3)]);
    }

    #[tokio::test]
    async fn nothing_is_read_for_those_who_went_away() {
        let mut library = Library::closed();
        library.ask(PAGE).await;
        let gone = library.ask(PAGE).await;
        gone.abort();
        tokio::task::yield_now().await;
        assert_eq!(library.open().await, [Ok(1)]);
        assert_eq!(library.began(), 1);
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_the_others_their_answer() {
        let mut library = Library::closed();
        let first = library.ask(PAGE).await;
        let second = library.ask(PAGE).await;
        library.ask(PAGE).await;
        library.ask(PAGE).await;
        first.abort();
        second.abort();
        assert_eq!(library.open().await, [Ok(2), Ok(2)]);
    }

    #[tokio::test]
    async fn why_it_fails_is_everybodys_own_to_find_out() {
        let mut library = Library::closed();
        for _ in 0..3 {
            library.ask(Page::Missing).await;
        }
        // The first, the read for the others, and then each of those.
        assert_eq!(library.open().await, [Err(1), Err(3), Err(4)]);
    }

    #[tokio::test]
    async fn a_read_for_others_that_hangs_is_given_up() {
        let mut library = Library::closed();
        library.ask(PAGE).await;
        library.ask(PAGE).await;
        library.book.ends.add_permits(1);
        library.until_began(2).await;
        // Whom it was for reads by itself.
        library.until_began(3).await;
        until(|| lock(&library.reads.0).is_empty()).await;
        library.ask(PAGE).await;
        assert_eq!(library.began(), 4, "whoever comes then finds nothing in its way");
        assert_eq!(library.open().await, [Ok(1), Ok(3), Ok(4)]);
    }

    #[tokio::test]
    async fn a_read_that_hangs_holds_nobody_up() {
        let mut library = Library::closed();
        library.ask(PAGE).await;
        let started = Instant::now();
        library.ask(PAGE).await;
        library.until_began(2).await;
        assert!(started.elapsed() >= WAIT_MAX);
        library.ask(PAGE).await;
        assert_eq!(library.began(), 3, "it does not wait at all");
        assert_eq!(library.open().await, [Ok(1), Ok(2), Ok(3)]);
    }
}
