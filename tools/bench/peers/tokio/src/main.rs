// SPDX-License-Identifier: ISC
// tokio_echo ADDRESS: an echo server on tokio, on its runtime of one thread. ADDRESS is tcp:PORT,
// udp:PORT or unix:PATH.
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut space = vec![0u8; 16384];
    loop {
        match stream.read(&mut space).await {
            Ok(0) | Err(_) => return,
            Ok(got) => {
                if stream.write_all(&space[..got]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn serve(kind: &str, place: &str) -> std::io::Result<()> {
    let host = format!("127.0.0.1:{place}");
    match kind {
        "unix" => {
            let listener = tokio::net::UnixListener::bind(place)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(echo(stream));
            }
        }
        "udp" => {
            let socket = tokio::net::UdpSocket::bind(host).await?;
            let mut space = vec![0u8; 65536];
            loop {
                let (got, from) = socket.recv_from(&mut space).await?;
                socket.send_to(&space[..got], from).await?;
            }
        }
        _ => {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(host.parse().expect("an address"))?;
            let listener = socket.listen(4096)?;
            loop {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                tokio::spawn(echo(stream));
            }
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: tokio_echo ADDRESS");
    let (kind, place) = address.split_once(':').expect("KIND:PLACE");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(kind, place))
}
