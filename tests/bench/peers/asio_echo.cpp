// Boost.Asio's way: one io_context, a session of callbacks per connection. Prints "port N" and runs until killed.
#include <sys/resource.h>

#include <boost/asio.hpp>
#include <cstdio>
#include <memory>

using boost::asio::ip::tcp;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(boost::asio::buffer(data_), [self = shared_from_this()](auto error, std::size_t got) {
      if (!error) self->write(got);
    });
  }

 private:
  void write(std::size_t length) {
    boost::asio::async_write(socket_, boost::asio::buffer(data_, length), [self = shared_from_this()](auto error, std::size_t) {
      if (!error) self->read();
    });
  }

  tcp::socket socket_;
  char data_[64];
};

static void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](auto error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

int main() {
  rlimit files;
  if (!getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  boost::asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  std::printf("port %d\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  accept(acceptor);
  context.run();
}
