;; Guile's threads, whose collector (libgc) stops the world by signals: each thread, main most of all, waits in a handler on its own stack, which is scanned from there up.
(use-modules (ice-9 threads) (srfi srfi-1))
(define checks 0)
(define (check what . text)
  (set! checks (+ checks 1))
  (if (not what) (begin (format (current-error-port) "failed: ~a~%" text) (primitive-_exit 1))))

(define (numbers from n) (iota n from))
(define (make-garbage seed rounds)
  (let loop ((i 0) (kept '()))
    (if (= i rounds) kept
        (let ((l (numbers (+ seed i) 200)))
          (make-vector 500 i)
          (loop (+ i 1) (if (zero? (modulo i 20)) (cons l (if (> (length kept) 30) '() kept)) kept))))))
(define (right? kept)
  (every (lambda (l) (= (apply + l) (+ (* 200 (car l)) (/ (* 199 200) 2)))) kept))

;; What only main's stack refers to while main waits.
(let* ((mine (map (lambda (i) (make-string 50 (integer->char (+ 97 (modulo i 26))))) (iota 2000)))
       (threads (map (lambda (n) (call-with-new-thread (lambda () (right? (make-garbage (* n 1000) 400))))) (iota 12))))
  (for-each (lambda (t) (check (eq? #t (join-thread t)) "thread")) threads)
  (for-each (lambda (s i) (check (and (= 50 (string-length s)) (char=? (string-ref s 49) (integer->char (+ 97 (modulo i 26))))) "main's")) mine (iota 2000)))

;; Main takes part, and collects by itself while the others wait, compute, and start.
(let* ((m (make-mutex)) (c (make-condition-variable)) (turn 0) (n 8)
       (threads (map (lambda (k)
                       (call-with-new-thread
                        (lambda ()
                          (let loop ((i 0))
                            (when (< i 20)
                              (with-mutex m
                                (let wait () (unless (= (modulo turn n) k) (wait-condition-variable c m) (wait)))
                                (set! turn (+ turn 1))
                                (broadcast-condition-variable c))
                              (make-garbage k 5)
                              (loop (+ i 1))))
                          #t)))
                     (iota n))))
  (do ((i 0 (+ i 1))) ((= i 30)) (gc) (check (right? (make-garbage i 10)) "main collects") (usleep 1000))
  (for-each (lambda (t) (check (eq? #t (join-thread t)) "turns")) threads)
  (check (= turn (* n 20)) "all turns"))

;; Futures and parallel maps
(check (equal? (par-map (lambda (x) (apply + (numbers x 100))) (iota 50)) (map (lambda (x) (apply + (numbers x 100))) (iota 50))) "par-map")

;; A pipe that main reads while the others make garbage
(let* ((p (pipe))
       (busy (map (lambda (n) (call-with-new-thread (lambda () (right? (make-garbage n 300))))) (iota 4)))
       (writer (call-with-new-thread (lambda ()
                                       (do ((i 0 (+ i 1))) ((= i 50)) (write i (cdr p)) (newline (cdr p)) (force-output (cdr p)) (usleep 2000))
                                       #t))))
  (do ((i 0 (+ i 1))) ((= i 50)) (check (= i (read (car p))) "read"))
  (for-each (lambda (t) (check (eq? #t (join-thread t)) "busy")) (cons writer busy)))

;; A thousand short ones
(do ((i 0 (+ i 1))) ((= i 20))
  (for-each (lambda (t) (check (join-thread t) "short"))
            (map (lambda (n) (call-with-new-thread (lambda () (length (make-garbage n 3)) #t))) (iota 50))))
(display checks)
(newline)
