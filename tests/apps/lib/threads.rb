# Ruby's threads: Mutex, Queue, SizedQueue, ConditionVariable, Monitor, sleep, IO.select, Timeout, kill, raise, trap, fork, and a TCPServer with a
# thread for each of 200 connections. Prints how many things were done.
require "monitor"
require "socket"
require "timeout"

$done = 0
def check(what, condition)
  raise "#{what} failed" unless condition
  $done += 1
end
def each_in_thread(n, &body) = n.times.map { |i| Thread.new(i, &body) }.map(&:value)

mutex, sum = Mutex.new, 0
each_in_thread(50) { 200.times { mutex.synchronize { seen = sum; Thread.pass; sum = seen + 1 } } }
check "mutex", sum == 10_000
check "owner", (mutex.lock; begin mutex.lock; rescue ThreadError; mutex.unlock; true; end)

[Queue.new, SizedQueue.new(10)].each do |queue|
  takers = 8.times.map { Thread.new { n = 0; while (x = queue.pop); n += x; end; n } }
  each_in_thread(4) { |i| 1.upto(2000) { |k| queue << k } }
  queue.close
  check queue.class, takers.sum(&:value) == 4 * 2000 * 2001 / 2
end

changed, turn = ConditionVariable.new, 0
each_in_thread(10) do |me|
  100.times { mutex.synchronize { changed.wait(mutex) while turn % 10 != me; turn += 1; changed.broadcast } }
end
check "condition variable", turn == 1000
check "its time-out", mutex.synchronize { changed.wait(mutex, 0.01); true }
monitor = Monitor.new
check "monitor", each_in_thread(8) { 100.times { monitor.synchronize { monitor.synchronize { turn += 1 } } } } && turn == 1800

begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
each_in_thread(200) { sleep 0.2 }
check "sleep", (0.2..5).cover?(Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun)

def times_out = Timeout.timeout(0.05) { yield; false } rescue $!.is_a?(Timeout::Error)
reader, writer = IO.pipe
check "time-out of sleep", times_out { sleep 100 }
check "time-out of a loop", times_out { loop {} }
check "time-out of a read", times_out { reader.read(1) }
check "time-out of select", times_out { IO.select([reader]) }
check "time-out of a queue", times_out { Queue.new.pop }
check "time-outs in threads", each_in_thread(20) { times_out { sleep 100 } }.all?

check "select", begin
  thread = Thread.new { IO.select([reader], nil, nil, 10) }
  writer.write "x"
  thread.value == [[reader], [], []] && reader.read(1) == "x"
end
check "kill", [-> { reader.read(1) }, -> { sleep }, -> { loop {} }, -> { Queue.new.pop }].all? do |wait|
  thread = Thread.new(&wait)
  Thread.pass
  thread.kill.join(20)
end
check "raise", begin
  thread = Thread.new { reader.read(1) rescue $!.message }
  Thread.pass until thread.stop?
  thread.raise "now"
  thread.value == "now"
end
check "stop and run", begin
  thread = Thread.new { Thread.stop; 5 }
  Thread.pass until thread.stop?
  thread.run.value == 5
end
check "fairness", begin
  counts = [0, 0]
  spinners = 2.times.map { |i| Thread.new { loop { counts[i] += 1 } } }
  sleep 0.5
  spinners.each(&:kill).each(&:join)
  counts.min > 1000
end
check "fiber", each_in_thread(8) { f = Fiber.new { |x| loop { x = Fiber.yield(x + 1) } }; (1..100).sum { |x| f.resume(x) } }.uniq == [5150]

server = TCPServer.new("127.0.0.1", 0)
CONNECTIONS, LINES = 200, 20
acceptor = Thread.new do
  CONNECTIONS.times.map do
    Thread.new(server.accept) { |c| while (line = c.gets); c.puts line.upcase; end; c.close }
  end.each(&:join)
end
answers = each_in_thread(CONNECTIONS) do |i|
  TCPSocket.open("127.0.0.1", server.addr[1]) { |c| LINES.times.count { |k| c.puts "a#{i} #{k}"; c.gets == "A#{i} #{k}\n" } }
end
acceptor.join
$done += answers.sum
check "server", answers.uniq == [LINES]

check "child", `echo hi` == "hi\n" && each_in_thread(4) { |i| system("exit #{i}"); $?.exitstatus } == [0, 1, 2, 3]
pid = fork { Thread.new { exit! Queue.new.then { |q| Thread.new { q << 3 }; q.pop } }.join }
Process.wait(pid)
check "fork", $?.exitstatus == 3
seen = 0
trap("USR1") { seen += 1 }
each_in_thread(1) { 5.times { |i| Process.kill("USR1", Process.pid); sleep 0.001 until seen > i } }
check "trap", seen == 5
puts $done
