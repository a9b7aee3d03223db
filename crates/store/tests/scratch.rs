use std::sync::Arc; use std::sync::atomic::*; use std::time::*;
use countersign_store::*;
struct W(i64, i64);
impl Work for W { type Output=(); type Error=StoreError;
 async fn run(&self, tx:&mut Tx<'_>)->Result<(),StoreError>{
  tx.execute("INSERT INTO t (id,data) VALUES ($1,$2)",&[self.0.into(), "x".repeat(600).into()]).await?;
  tx.query_one("SELECT id, data FROM t WHERE id = $1", &[(self.0-1).into()]).await?;
  tx.execute("UPDATE t SET data=$2 WHERE id=$1",&[(self.0 - self.1).into(), "y".repeat(600).into()]).await?; Ok(()) } }
struct C; impl Work for C { type Output=(); type Error=StoreError;
 async fn run(&self, tx:&mut Tx<'_>)->Result<(),StoreError>{ tx.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT",&[]).await.map(drop) } }
#[tokio::test(flavor="current_thread")]
async fn bench() {
 for n in [1usize,2,8,64,256] {
  let dir = tempfile::tempdir_in("/root").unwrap(); let p=dir.path().join("b.db");
  let s=Store::open(&Settings::new(p.display().to_string())).await.unwrap(); s.write(C).await.unwrap();
  let next=Arc::new(AtomicI64::new(1)); let begin=Instant::now(); let end=begin+Duration::from_secs(4);
  let mut set=tokio::task::JoinSet::new();
  for _ in 0..n { let s=s.clone(); let next=next.clone(); set.spawn(async move { let mut lat=vec![]; while Instant::now()<end {
     // some CPU of a request
     let t=Instant::now(); while t.elapsed()<Duration::from_micros(100) { std::hint::spin_loop(); }
     let t=Instant::now(); s.write(W(next.fetch_add(1,Ordering::SeqCst), 50)).await.unwrap(); lat.push(t.elapsed()); tokio::task::yield_now().await; } lat }); }
  let mut lat: Vec<Duration>=set.join_all().await.concat(); lat.sort();
  let wal=std::fs::metadata(dir.path().join("b.db-wal")).unwrap().len();
  println!("{n:4} callers: {:6.0} writes/s p50 {:?} p99 {:?} wal {} KiB", lat.len() as f64/begin.elapsed().as_secs_f64(), lat[lat.len()/2], lat[lat.len()*99/100], wal/1024);
  s.close().await;
 } }
