import sys,time
sys.path.insert(0,'.')
from pathlib import Path
from dataplane import rulefiles
t=time.time(); l=rulefiles.load([Path('/work/shared/peers/et-open')],cache=Path('/tmp/team/lead/cache')); print('load',time.time()-t, l._replace(rules=None) if hasattr(l,'_replace') else l if len(repr(l))<500 else repr(l)[:500])
