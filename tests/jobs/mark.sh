# Marks the beginning and the end of an attempt; a lock that cannot be taken is another attempt that lives.
exec 9>"$MARKS/$DEEPEVENT_JOB.lock"
flock -n 9 || echo "overlap $DEEPEVENT_JOB" >>"$MARKS/marks"
echo "begin $DEEPEVENT_JOB" >>"$MARKS/marks"
sleep 0.2
echo "end $DEEPEVENT_JOB" >>"$MARKS/marks"
