"""Proof 4: socketserver.ThreadingTCPServer with 5,000 connections (500 natively)."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import load
load.main([sys.executable, os.path.join(os.path.dirname(load.__file__), "server_echo.py")], 500, 5000)
