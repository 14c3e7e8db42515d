"""Proof 4: a thread-per-connection C server with 10,000 connections (1,000 natively)."""
import os, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import load
exe = os.path.join(tempfile.mkdtemp(), "server_echo")
subprocess.run(["gcc", "-O1", "-pthread", os.path.join(os.path.dirname(load.__file__), "server_echo.c"), "-o", exe], check=True,
               env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"})
load.main([exe], 1000, 10000)
