//! A double of a broker that is too old: it says its version, lets everybody in, and has no queues.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

fn method(class: u16, number: u16, channel: u16, args: &[u8]) -> Vec<u8> {
    let size = u32::try_from(args.len() + 4).unwrap();
    [&[1], &channel.to_be_bytes()[..], &size.to_be_bytes(), &class.to_be_bytes(), &number.to_be_bytes(), args, &[0xce]]
        .concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let size = u32::try_from(value.len()).unwrap();
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), b"S", &size.to_be_bytes(), value.as_bytes()].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn frame(stream: &mut TcpStream) {
    let mut head = [0; 7];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; u32::from_be_bytes(head[3..].try_into().unwrap()) as usize + 1];
    stream.read_exact(&mut rest).unwrap();
}

/// Serves one connection, and ends with it.
pub fn broker(version: &str) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let about = long(&[text("product", "RabbitMQ"), text("version", version)].concat());
    let start = [&[0, 9], &about[..], &long(b"PLAIN"), &long(b"en_US")].concat();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"AMQP\x00\x00\x09\x01");
        stream.write_all(&method(10, 10, 0, &start)).unwrap();
        frame(&mut stream);
        stream.write_all(&method(10, 30, 0, &[0, 0, 0, 2, 0, 0, 0, 60])).unwrap();
        frame(&mut stream);
        frame(&mut stream);
        stream.write_all(&method(10, 41, 0, &[0])).unwrap();
        frame(&mut stream);
        stream.write_all(&method(20, 11, 1, &[0, 0, 0, 0])).unwrap();
        frame(&mut stream);
        stream.write_all(&method(85, 11, 1, &[])).unwrap();
        // Until the client has heard enough.
        let rest = stream.read(&mut [0; 64]).unwrap_or_default();
        assert_eq!(rest, 0, "a client goes on with a broker that is too old");
    };
    (port, std::thread::spawn(serve))
}
