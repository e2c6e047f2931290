import sys,time; sys.meta_path[:]=[f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
sys.path.insert(0,'.')
from pathlib import Path
from dataplane import rulefiles, ruleset
from ctypes_ext import engine
from dataplane.rules import about
t=time.time()
orig=ruleset.compile_rules
keep={}
def grab(*a,**k):
    r=orig(*a,**k); keep['r']=r; return r
rulefiles.compile_rules=grab
t=time.time(); l=rulefiles.load([Path(p) for p in sys.argv[3:]]); print('load',time.time()-t,'loaded',l.loaded,'refused',len(l.refused))
import collections
c=collections.Counter(p.reason for p in l.refused); print(c.most_common(12))
Path(sys.argv[1]).write_bytes(keep['r'].image)
p=None
try:
    p=l.rules.prepared()
    Path(sys.argv[2]).write_bytes(p)
except Exception as e: print('prepared',e)
print(len(keep['r'].image), len(p or b''))
